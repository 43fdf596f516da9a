"""The whole state as one file: made while the portal runs, put back while it is stopped."""
