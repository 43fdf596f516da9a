"""Apprise: Slack, Teams, e-mail and the other services that a message's address may name."""
