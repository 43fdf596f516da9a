"""What the portal does at a real OpenMetadata server, and what the stand-in does at its place."""
