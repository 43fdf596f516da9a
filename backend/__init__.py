"""Steward Portal without its browser side: domains, integrations, jobs, REST and CLI."""

__version__ = "0.2.0"
