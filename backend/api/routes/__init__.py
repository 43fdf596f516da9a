"""One file of endpoints per domain."""
