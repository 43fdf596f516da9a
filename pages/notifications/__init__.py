"""Notifications: what happened, and where messages go."""
