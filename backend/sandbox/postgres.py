"""A real embedded PostgreSQL with tables worth tokenizing."""

from contextlib import closing
from pathlib import Path

from psycopg2 import sql

from backend.sandbox import postgres_tables
from backend.sandbox.embedded_postgres import USER, EmbeddedPostgres
from backend.sandbox.parts import Part


def start(folder: Path) -> Part:
    """The server on a free port; its tables are made once."""
    server = EmbeddedPostgres(folder)
    server.start()
    _seed(server)
    return Part(
        kind="postgres",
        settings={
            "host": "127.0.0.1",
            "port": str(server.port),
            "database": postgres_tables.DATABASE,
            "user": USER,
            "sslmode": "disable",
        },
        secrets={"password": server.password},
        stop=server.stop,
    )


def _seed(server: EmbeddedPostgres) -> None:
    """Once. The database gets its name when it is full: a start may be given up half-way."""
    database, new = postgres_tables.DATABASE, f"{postgres_tables.DATABASE}_new"
    names = {"database": sql.Identifier(database), "new": sql.Identifier(new)}
    with closing(server.connect("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
        if cursor.fetchone() is not None:
            return
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {new}").format(**names))
        cursor.execute(sql.SQL("CREATE DATABASE {new}").format(**names))
        with closing(server.connect(new)) as filling, filling.cursor() as inside:
            for table in postgres_tables.TABLES:
                for statement in table.statements:
                    inside.execute(statement)
        cursor.execute(sql.SQL("ALTER DATABASE {new} RENAME TO {database}").format(**names))
