"""The MySQL engine on a real MariaDB: the bytes, what it refuses, what is left when it stops."""

import os
import signal
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.core.database import Database
from backend.integrations.mysql.errors import LockNotAvailable
from backend.jobs.errors import JobCancelled
from backend.tokenization.detection import Detection
from backend.tokenization.engines.base import AlreadyRunning, Blocked, Outcome, RewriteResult
from backend.tokenization.engines.mysql import expressions, facts, run
from backend.tokenization.engines.mysql.engine import MySqlEngine
from backend.tokenization.tokens import Tokenizer
from tests.backend.tokenization.corpus import NASTY, TEXTS
from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.world import (
    SCHEMES,
    SHORTEST,
    TOKENIZER,
    Recorder,
    choices,
    exit_of,
)
from tests.fixtures.database import wait_until_blocked

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, email varchar(100), phone varchar(60),
  seen timestamp NOT NULL DEFAULT '2020-01-01 00:00:00' ON UPDATE current_timestamp())
"""


@pytest.fixture
def shop(mariadb_url: str) -> MySource:
    """A fresh database on a real MariaDB."""
    return MySource(mariadb_url)


@pytest.fixture
def people(shop: MySource) -> MySource:
    """With a table of 40 people, two of them without an e-mail."""
    shop.run(
        PEOPLE,
        "INSERT INTO people (id, email, phone) VALUES "
        + ", ".join(f"({n}, 'person{n}@example.org', '+49 170 {n}')" for n in range(1, 39)),
        "INSERT INTO people (id, email) VALUES (39, NULL), (40, '')",
    )
    return shop


def rewrite(source: MySource, table: str, *columns: str, **more: Any) -> RewriteResult:
    more = {"tokenizer": TOKENIZER, "control": Recorder(), **more}
    return source.engine(table).rewrite(choices(*columns), more["tokenizer"], more["control"])


def blockers(source: MySource, table: str, column: str, **settings: Any) -> str:
    """What the preview says against the column, as one text."""
    report = source.engine(table, **settings).preview(
        TOKENIZER, 100, lambda _values: Detection(chosen={column: "chosen by name"})
    )
    assert report.all_blockers == () or report.rows_to_update is None
    return "; ".join(report.all_blockers)


@pytest.mark.parametrize("tokenizer", SCHEMES.values(), ids=SCHEMES)
def test_nasty_corpus_is_rewritten_as_python_would(shop: MySource, tokenizer: Tokenizer) -> None:
    shop.run("CREATE TABLE corpus (id int PRIMARY KEY, value longtext, other longtext)")
    with shop.connection() as connection, connection.cursor() as cursor:
        for place, value in enumerate(NASTY):
            cursor.execute("INSERT INTO corpus VALUES (%s, %s, %s)", (place, value, value))

    rewrite(shop, "corpus", "value", tokenizer=tokenizer)

    found = shop.rows("SELECT value, other FROM corpus ORDER BY id")
    assert [row[0] for row in found] == [tokenizer.token(value) for value in NASTY]
    assert [row[1] for row in found] == NASTY
    assert rewrite(shop, "corpus", "value", tokenizer=tokenizer).rows_updated == 0


@pytest.mark.parametrize(
    "kind",
    [
        "varchar(80) CHARACTER SET latin1 COLLATE latin1_general_ci",
        "varchar(80) CHARACTER SET utf8mb3",
        "varchar(80) CHARACTER SET ucs2",
        "char(80) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "tinytext CHARACTER SET utf16",
    ],
)
def test_the_token_is_of_the_value_whatever_the_character_set(shop: MySource, kind: str) -> None:
    values = ["Grüße", "façade", "TOK_YWJj_POC", "tok_YWJj_poc", "  leading", "ÉCLAIR", "éclair"]
    shop.run(f"CREATE TABLE corpus (id int PRIMARY KEY, value {kind})")
    with shop.connection() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO corpus VALUES (%s, %s)", list(enumerate(values)))

    rewrite(shop, "corpus", "value")

    found = shop.column("SELECT CONVERT(value USING utf8mb4) FROM corpus ORDER BY id")
    assert found == [TOKENIZER.token(value) for value in values]


def test_any_text_gets_the_same_token(shop: MySource) -> None:
    with shop.connection() as connection, connection.cursor() as cursor:
        key = expressions.Key()
        key.load(cursor, TOKENIZER)
        cursor.execute("CREATE TEMPORARY TABLE given (place int PRIMARY KEY, value longtext)")
        text = expressions.text_of("value")
        plain = expressions.is_plain(text)
        token = expressions.token_of(text, TOKENIZER.scheme)
        query = (
            f"SELECT CASE WHEN {plain} THEN {token} ELSE {text} END "
            f"FROM given AS t CROSS JOIN {key.table} AS k ORDER BY t.place"
        )

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(TEXTS, min_size=1, max_size=20))
        def check(values: list[str]) -> None:
            cursor.execute("DELETE FROM given")
            cursor.executemany("INSERT INTO given VALUES (%s, %s)", list(enumerate(values)))
            cursor.execute(query)

            assert [row[0] for row in cursor.fetchall()] == [TOKENIZER.token(v) for v in values]

        check()


def test_only_the_columns_asked_for_change_and_a_second_run_changes_none(people: MySource) -> None:
    assert rewrite(people, "people", "email") == RewriteResult(40, 38)

    found = people.rows("SELECT id, email, phone, seen FROM people ORDER BY id")
    assert [row[1] for row in found] == [
        *(TOKENIZER.token(f"person{n}@example.org") for n in range(1, 39)),
        None,
        "",
    ]
    assert found[0][2] == "+49 170 1"
    assert {str(row[3]) for row in found} == {"2020-01-01 00:00:00"}
    assert rewrite(people, "people", "email") == RewriteResult(40, 0)


def test_columns_may_have_schemes_of_their_own(people: MySource) -> None:
    both = Tokenizer(TOKENIZER.scheme, bytes(range(32)), {"phone": SHORTEST.scheme})

    assert rewrite(people, "people", "email", "phone", tokenizer=both).rows_updated == 38

    assert people.rows("SELECT email, phone FROM people WHERE id = 7") == (
        (TOKENIZER.token("person7@example.org"), SHORTEST.token("+49 170 7")),
    )


def test_the_preview_counts_and_masks(people: MySource) -> None:
    report = people.engine("people").preview(
        TOKENIZER,
        100,
        lambda values: Detection(
            chosen={"email": "chosen by name"},
            suggested={"phone": "looks like one"} if values["phone"] else {},
        ),
    )

    email = next(column for column in report.columns if column.name == "email")
    assert (report.rows_total, report.rows_to_update, report.all_blockers) == (40, 38, ())
    assert email.rows_to_update == 38
    assert email.samples[0].before.startswith("p•••••")
    assert next(column for column in report.columns if column.name == "phone").suggested
    assert people.engine("people").count_plain(["email", "phone"]).rows_plain == 38


@pytest.mark.parametrize(
    ("statements", "column", "said"),
    [
        (["CREATE VIEW t AS SELECT id, email FROM people"], "email", "it is a view"),
        (
            ["CREATE TABLE t (email varchar(60)) ENGINE = MyISAM"],
            "email",
            "is MyISAM, which cannot",
        ),
        (
            [
                "CREATE TABLE t (email varchar(60))",
                "CREATE TRIGGER spy BEFORE UPDATE ON t FOR EACH ROW SET @seen = OLD.email",
            ],
            "email",
            "The trigger spy runs for every changed row",
        ),
        (["CREATE TABLE t (email varchar(60) PRIMARY KEY)"], "email", "part of the primary key"),
        (
            [
                "CREATE TABLE parent (email varchar(60) PRIMARY KEY)",
                "CREATE TABLE t (email varchar(60), CONSTRAINT knows FOREIGN KEY (email) "
                "REFERENCES parent (email))",
            ],
            "email",
            "part of the foreign key knows",
        ),
        (
            [
                "CREATE TABLE t (email varchar(60) UNIQUE)",
                "CREATE TABLE child (email varchar(60), CONSTRAINT knows FOREIGN KEY (email) "
                "REFERENCES t (email) ON UPDATE CASCADE)",
            ],
            "email",
            "referred to by the foreign key knows of child",
        ),
        (
            ["CREATE TABLE t (email varchar(60), CONSTRAINT at CHECK (email LIKE '%@%'))"],
            "email",
            "part of the check constraint at",
        ),
        (
            ["CREATE TABLE t (a varchar(60), email varchar(60) AS (LOWER(a)) STORED)"],
            "email",
            "it is a generated column",
        ),
        (
            ["CREATE TABLE t (email varchar(60)) PARTITION BY KEY (email) PARTITIONS 2"],
            "email",
            "part of the partition key",
        ),
        (["CREATE TABLE t (email varchar(51))"], "email", "hmac-sha256-144 (32 characters) fits"),
        (["CREATE TABLE t (email int)"], "email", "its type int"),
        (["CREATE TABLE t (email enum('a', 'b'))"], "email", "is not text"),
        (
            ["CREATE TABLE t (email varchar(60), UNIQUE start (email(6)))"],
            "email",
            "the unique index start holds its first 6 characters only",
        ),
        (["CREATE TABLE t (id int)"], "email", "the table has no such column"),
    ],
)
def test_the_preview_refuses_before_row_1(
    people: MySource, statements: list[str], column: str, said: str
) -> None:
    people.run(*statements)

    assert said in blockers(people, "t", column)
    with pytest.raises(Blocked, match="Nothing was changed"):
        rewrite(people, "t", column)


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("(email varchar(60)) WITH SYSTEM VERSIONING", "history would"),
        ("(email json)", "part of the check constraint email"),
    ],
)
def test_the_preview_refuses_what_mariadb_alone_has(
    shop: MySource, definition: str, said: str
) -> None:
    shop.needs("MariaDB")
    shop.run(f"CREATE TABLE t {definition}")

    assert said in blockers(shop, "t", "email")
    with pytest.raises(Blocked, match="Nothing was changed"):
        rewrite(shop, "t", "email")


def test_missing_rights_are_named(people: MySource) -> None:
    login = {"user": f"reader_{people.database}", "password": ""}
    people.run(
        f"CREATE USER '{login['user']}'@'%' IDENTIFIED BY '{people.secrets['password']}'",
        f"GRANT SELECT ON {people.database}.* TO '{login['user']}'@'%'",
    )
    try:
        said = blockers(people, "people", "email", user=login["user"])
    finally:
        people.run(f"DROP USER '{login['user']}'@'%'")

    assert "has no UPDATE right" in said
    assert "may not make temporary tables" in said


def test_a_trigger_that_nobody_may_see_cannot_alter_tokens(
    people: MySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MySQL shows no trigger to whom lacks the right TRIGGER; MariaDB shows its name.
    monkeypatch.setattr(facts, "_TRIGGERS", f"{facts._TRIGGERS} AND FALSE")
    people.run(
        "CREATE TRIGGER other BEFORE UPDATE ON people FOR EACH ROW SET NEW.email = 'tok_YWJj_poc'",
        f"CREATE USER 'u_{people.database}'@'%' IDENTIFIED BY '{people.secrets['password']}'",
        "GRANT SELECT, UPDATE, CREATE TEMPORARY TABLES, SHOW VIEW "
        f"ON {people.database}.* TO 'u_{people.database}'@'%'",
    )
    engine = people.engine("people", user=f"u_{people.database}")
    try:
        report = engine.preview(TOKENIZER, 10, lambda _: Detection(chosen={"email": ""}))
        with pytest.raises(Blocked, match="are not those that were computed"):
            engine.rewrite(choices("email"), TOKENIZER, Recorder())
    finally:
        people.run(f"DROP USER 'u_{people.database}'@'%'")

    assert any("lacks the right TRIGGER" in warning for warning in report.warnings)
    assert people.column("SELECT COUNT(*) FROM people WHERE email LIKE '%@%'") == [38]


def test_rows_that_somebody_holds_end_the_run_unchanged(people: MySource) -> None:
    with people.connection(autocommit=False) as other, other.cursor() as cursor:
        cursor.execute("SELECT * FROM people WHERE id = 3 FOR UPDATE")
        with pytest.raises(LockNotAvailable, match="did not let go in time"):
            rewrite(people, "people", "email")

    assert people.column("SELECT COUNT(*) FROM people WHERE email LIKE '%@%'") == [38]


def test_rows_committed_while_the_run_waits_get_tokens_too(people: MySource) -> None:
    control, errors = Recorder(), []

    def go() -> None:
        try:
            engine = people.engine("people")
            engine._lock_timeout = 60.0
            engine.rewrite(choices("email"), TOKENIZER, control)
        except BaseException as exc:
            errors.append(exc)

    with people.connection(autocommit=False) as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO people (id, email) VALUES (100, 'late@example.org')")
        thread = threading.Thread(target=go)
        thread.start()
        database = Database(people.url)
        wait_until_blocked(database, thread)
        database.dispose()
        other.commit()
    thread.join(60)

    assert errors == []
    assert control.result == RewriteResult(41, 39)
    assert people.column("SELECT COUNT(*) FROM people WHERE email LIKE '%@%'") == [0]


def test_one_run_per_table(people: MySource) -> None:
    with people.connection() as other, other.cursor() as cursor:
        name = run.take_lock(cursor, people.table("people"))
        with pytest.raises(AlreadyRunning, match="Another tokenization run holds"):
            rewrite(people, "people", "email")
        assert people.engine("people").outcome(name, patience=0.0) is Outcome.IN_PROGRESS

    assert people.engine("people").outcome(name, patience=60.0) is Outcome.UNKNOWN


def test_a_cancelled_run_stops_its_statement(
    people: MySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = expressions.update
    monkeypatch.setattr(expressions, "update", lambda *a: f"{written(*a)} AND SLEEP(300) = 0")
    monkeypatch.setattr(run, "_POLL_SECONDS", 0.1)

    def stop(share: float) -> None:
        if len(control.shares) > 1:
            raise JobCancelled

    control = Recorder(on_progress=stop)
    with pytest.raises(JobCancelled):
        rewrite(people, "people", "email", control=control)

    assert people.column("SELECT COUNT(*) FROM people WHERE email LIKE '%@%'") == [38]
    monkeypatch.undo()
    assert rewrite(people, "people", "phone").rows_updated == 38


def die_at(source: MySource, moment: str) -> None:
    """In a process of its own: a run that is killed at that moment."""
    control = Recorder(**{moment: lambda: os.kill(os.getpid(), signal.SIGKILL)})
    source.engine("people").rewrite(choices("email"), TOKENIZER, control)


@pytest.mark.parametrize("moment", ["on_started", "on_committing"])
def test_kill_9_leaves_the_table_as_it_was(people: MySource, moment: str) -> None:
    assert exit_of(die_at, people, moment) == -signal.SIGKILL
    engine: MySqlEngine = people.engine("people")
    assert engine.outcome(run.lock_name(people.table("people")), patience=60.0) is Outcome.UNKNOWN
    assert engine.count_plain(["email"]).rows_plain == 38
    assert rewrite(people, "people", "email").rows_updated == 38
