"""The tables as SQL for administrators: `python -m backend.dms.ddl DIALECT [TABLE]` prints it.

ledger_schema.sql is the guide's own text and the source; the files of the portal's data/ are the
same and what this prints, and a test keeps them so.
"""

import sys

from sqlalchemy import Table
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from . import schema

DIALECTS = {"mysql": mysql.dialect, "postgresql": postgresql.dialect, "sqlite": sqlite.dialect}


def script(table: Table, dialect: str) -> str:
    """CREATE statements of `table` for "mysql", "postgresql" or "sqlite"."""
    target = DIALECTS[dialect]()
    if table is schema.operation:
        schema.made_for_mysql(table)
    statements = [str(CreateTable(table).compile(dialect=target)).strip()]
    indexes = sorted(table.indexes, key=lambda i: str(i.name))
    statements += [str(CreateIndex(i).compile(dialect=target)).strip() for i in indexes]
    lines = "\n".join(f"{statement};" for statement in statements).replace("\t", "    ")
    return "\n".join(line.rstrip() for line in lines.splitlines()) + "\n"


if __name__ == "__main__":
    for each in (schema.ledger, schema.operation):
        if each.name in (sys.argv[2:] or [each.name]):
            sys.stdout.write(script(each, sys.argv[1]) + "\n")
