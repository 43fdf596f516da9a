"""What runs did counts however many newer ones there are."""

from typing import Any

import pytest
from sqlalchemy import insert

from backend.core import clock
from backend.core.database import Database
from backend.models import TokenizationRun, TokenizationTag
from backend.tokenization import repository
from benchmarks import _history_rows

OLD = "urn:li:dataset:(urn:li:dataPlatform:postgres,shop.public.old,PROD)"


def column(name: str, scheme: str = "") -> dict[str, str]:
    return {"name": name, "reason": "chosen"} | ({"scheme": scheme} if scheme else {})


def run(number: int, **more: Any) -> dict[str, Any]:
    row = _history_rows.tokenization(number, clock.now(), 1)
    return {**row, "id": number, "state": "succeeded", **more}


@pytest.fixture
def history(database: Database) -> Database:
    """10,500 runs; the oldest two took what no later one took."""
    rows = [run(n) for n in range(3, 10_501)]
    rows.append(run(1, dataset=OLD, columns=[column("iban", "hmac-sha256-96")]))
    rows.append(run(2, dataset=rows[0]["dataset"], columns=[column("phone"), column("email")]))
    rows += [run(20_000 + n, dataset=OLD, columns=[column("email")]) for n in range(1_100)]
    rows.append(run(30_000, dataset=OLD, state="failed"))
    rows.append(run(30_001, dataset=OLD, environment_id=2))
    with database.write() as session:
        session.execute(insert(TokenizationRun), rows)
    return database


def test_every_column_that_a_run_ever_took_is_known(history: Database) -> None:
    often = run(3)["dataset"]
    with history.read() as session:
        every = repository.tokenized_columns(session, 1)
        some = repository.tokenized_columns(session, 1, [OLD, "another"])
        old = repository.tokenized(session, 1, OLD)
        none = repository.tokenized_columns(session, 1, [])
    assert (every[OLD], every[often], len(every)) == (["email", "iban"], ["email", "phone"], 201)
    assert (some, none) == ({OLD: ["email", "iban"]}, {})
    assert (old["iban"].scheme, old["iban"].reason) == (
        "hmac-sha256-96",
        "tokenized before, by run 1",
    )


def test_the_newest_good_run_of_every_dataset_newest_first(history: Database) -> None:
    with history.read() as session:
        found = [(row.id, row.dataset) for row in repository.latest_succeeded(session, 1)]
    assert found[0] == (21_099, OLD)
    assert [number for number, _ in found[1:]] == list(range(10_500, 10_300, -1))


def test_every_answered_tag_is_known(database: Database) -> None:
    """One that is missing would be answered by another run."""
    row = {"environment_id": 1, "note": "", "seen_at": clock.now(), "run_id": 1}
    with database.write() as session:
        rows = [{**row, "dataset": f"{number:06d}"} for number in range(5_001)]
        session.execute(insert(TokenizationTag), rows)
        assert len(repository.list_tags(session, 1)) == 5_001
