"""What the MySQL engine reads of a server and asks of it, where MySQL and MariaDB differ."""

import pytest

from backend.tokenization.detection import Detection
from backend.tokenization.engines.mysql import expressions, facts
from backend.tokenization.schemas import TableName
from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.world import TOKENIZER


@pytest.fixture
def shop(mariadb_url: str) -> MySource:
    """A fresh database."""
    return MySource(mariadb_url)


@pytest.mark.parametrize(
    ("grants", "seen"),
    [
        (["GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION"], True),
        (["GRANT SELECT, TRIGGER ON `shop`.* TO `u`@`%`", "GRANT `role`@`%` TO `u`@`%`"], True),
        (["GRANT SELECT, TRIGGER ON `shop`.`people` TO `u`@`%`"], True),
        (["GRANT SELECT, TRIGGER ON `other`.* TO `u`@`%`"], False),
        (["GRANT SELECT, UPDATE ON `shop`.* TO `u`@`%`"], False),
        # as MySQL 9.7 answers with partial_revokes
        (["GRANT SELECT, TRIGGER ON *.* TO `u`@`%`", "REVOKE TRIGGER ON `shop`.* FROM `u`@`%`"], 0),
        (["GRANT SELECT, TRIGGER ON *.* TO `u`@`%`", "REVOKE TRIGGER ON `old`.* FROM `u`@`%`"], 1),
    ],
)
def test_who_sees_triggers_is_read_from_the_grants(grants: list[str], seen: bool) -> None:
    class Cursor:
        def execute(self, query: str) -> None:
            assert query == "SHOW GRANTS"

        def fetchall(self) -> list[tuple[str]]:
            return [(line,) for line in grants]

    assert facts._sees_triggers(Cursor(), TableName("shop", "", "people")) is bool(seen)


def test_an_index_on_an_expression_is_named(shop: MySource) -> None:
    shop.needs("MySQL")
    shop.run(
        "CREATE TABLE people (id int PRIMARY KEY, email varchar(100))",
        "CREATE UNIQUE INDEX folded ON people ((LOWER(email)))",
    )

    report = shop.engine("people").preview(TOKENIZER, 10, lambda _: Detection(chosen={"email": ""}))

    email = next(column for column in report.columns if column.name == "email")
    assert any("index folded is computed anew" in warning for warning in email.warnings)


def test_a_virtual_column_is_not_said_to_end_the_run(shop: MySource) -> None:
    # The servers compute it when it is read: MariaDB cuts it off there, and the write succeeds.
    shop.run(
        "CREATE TABLE people (id int PRIMARY KEY, email varchar(100), "
        "a varchar(9) AS (email) VIRTUAL, b varchar(100) AS (email) STORED)",
    )

    report = shop.engine("people").preview(TOKENIZER, 10, lambda _: Detection(chosen={"email": ""}))

    warnings = next(column for column in report.columns if column.name == "email").warnings
    assert [
        (name, "whenever it is read" in each, "the run fails" in each)
        for each in warnings
        for name in ("a", "b")
        if each.startswith(f"the generated column {name} ")
    ] == [("b", False, True), ("a", True, False)]


def test_tables_of_ours_have_a_primary_key(shop: MySource) -> None:
    # A server with sql_require_primary_key refuses others, temporary ones too.
    with shop.connection() as connection, connection.cursor() as cursor:
        key = expressions.Key()
        key.load(cursor, TOKENIZER)
        assert facts.may_use_temp(cursor, readonly=False)
        for table in (key.table, "portal_right"):
            cursor.execute(f"SHOW CREATE TABLE {table}")
            assert "PRIMARY KEY" in cursor.fetchone()[1]
