"""A source PostgreSQL through psycopg2: connections with deadlines, errors as sentences, a probe.

The settings of a connection: host (a name, an address or a socket folder), port (5432), database,
user, sslmode (prefer); its secret: password. The import of psycopg2 is cheap (20 ms), so the
modules here import it at their top.
"""
