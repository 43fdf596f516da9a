"""A source PostgreSQL through psycopg2: connections with deadlines, errors as sentences, a probe.

    from backend.integrations.postgres.probe import probe
    probe(settings, secrets, *, timeout=10.0) -> Probe(server_version, cause, advice)
        SELECT 1, TEMP right, read replica or not, and whether the login may UPDATE any table.
        `cause` and `advice` are "" when everything a run needs is there; else one sentence each,
        and the connection still counts as ok. Raises UpstreamError, UpstreamUnavailable or
        UpstreamTimeout (backend.core.errors) when no query can be answered.
        settings: host (a name, an address or a socket folder), port (5432), database, user,
        sslmode (prefer). secrets: password.

    from backend.integrations.postgres.connection import connect, is_transient, translated
    with connect(settings, secrets, application="…", statement_timeout=60.0) as connection: …
        a psycopg2 connection, rolled back and closed at the end; every error is translated.

The import of psycopg2 is cheap (20 ms), so the modules here import it at their top.
"""
