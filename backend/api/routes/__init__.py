"""One file of endpoints per room."""
