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
    if server.start():
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
    database = postgres_tables.DATABASE
    with closing(server.connect("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    with closing(server.connect(database)) as connection, connection.cursor() as cursor:
        for table in postgres_tables.TABLES:
            for statement in table.statements:
                cursor.execute(statement)
