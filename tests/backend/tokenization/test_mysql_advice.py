"""What the MySQL engine advises for a type that is not text, followed on a real MariaDB."""

from typing import Any

import pytest

from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.test_mysql import blockers, rewrite
from tests.backend.tokenization.world import TOKENIZER


@pytest.fixture
def shop(mariadb_url: str) -> MySource:
    """A fresh database on a real MariaDB."""
    return MySource(mariadb_url)


@pytest.mark.parametrize(
    ("type_", "value", "modify", "text"),
    [
        ("bigint", 491701, ["varchar(52)"], "491701"),
        ("decimal(6,2)", "12.50", ["varchar(52)"], "12.50"),
        ("date", "1980-02-29", ["varchar(52)"], "1980-02-29"),
        ("enum('a', 'b')", "b", ["varchar(52)"], "b"),
        ("inet6", "2001:db8::1", ["varchar(52)"], "2001:db8::1"),
        ("uuid", f"{1:032x}", ["char(36)", "varchar(52)"], "00000000-0000-0000-0000-000000000001"),
        ("varbinary(60)", "jürgen".encode(), ["varchar(60) CHARACTER SET utf8mb4"], "jürgen"),
        ("blob", "jürgen".encode(), ["varchar(60) CHARACTER SET utf8mb4"], "jürgen"),
    ],
)
def test_the_advice_for_a_type_that_is_not_text_works(
    shop: MySource, type_: str, value: Any, modify: list[str], text: str
) -> None:
    if type_ in ("inet6", "uuid"):
        shop.needs("MariaDB")
    shop.run(f"CREATE TABLE t (email {type_})")
    with shop.connection() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (%s)", (value,))
    said = blockers(shop, "t", "email")
    assert "is not text; " in said
    assert f"MODIFY … {modify[0].replace('60', 'n')}" in said

    shop.run(*(f"ALTER TABLE t MODIFY email {wider}" for wider in modify))
    rewrite(shop, "t", "email")

    assert shop.column("SELECT email FROM t") == [TOKENIZER.token(text)]


@pytest.mark.parametrize(
    ("type_", "advice"),
    [
        ("json", "a token cannot replace a value inside a document"),
        ("set('a', 'b')", "keep them as rows of a table of their own"),
        ("bit(8)", "leave the column out"),
        ("point", "keep the personal part in a text column of its own"),
    ],
)
def test_a_type_that_cannot_become_text_says_what_could_be_done(
    shop: MySource, type_: str, advice: str
) -> None:
    shop.run(f"CREATE TABLE t (email {type_})")

    assert advice in blockers(shop, "t", "email")
