"""User sync: directory users against OpenMetadata users: plan, review, apply, undo.

Who reads what:
    matching.py    pure: two lists in, plan rows out          (no I/O, no database)
    planning.py    fetches both sides and stores the plan      → service.create_plan, job user_sync.plan
    writing.py     one user: re-read, PATCH, compare           (shared by the job and the connector)
    applying.py    a run: bounded concurrency, resume, cancel  → job user_sync.apply
    service.py     what page, CLI and REST call
    connector.py   the Source that the official `metadata ingest` runs
"""
