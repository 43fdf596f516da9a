"""Change requests and policies."""
