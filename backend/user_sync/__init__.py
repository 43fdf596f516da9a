"""User sync: directory users against OpenMetadata users: plan, review, apply, revert.

Who does what:
    matching.py    pure: directory and users in, plan rows out (no I/O, no database)
    planning.py    fetches both sides at once and stores the plan      job user_sync.plan
    writing.py     one user: re-read, PATCH, compare                   job and connector
    applying.py    a run: bounded concurrency, resume, cancel          job user_sync.apply
    plans.py, runs.py, rules.py    what page, CLI and REST call, gathered in service.py
    connector.py   the Source that the official `metadata ingest` runs
"""
