"""The connection ends inside the COMMIT of a tokenization: the source itself says what became."""

from typing import Any

import pytest

from backend.tokenization.engines.base import CommitUnknown
from backend.tokenization.engines.mysql import run as mysql
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.schemas import RunState
from tests.backend.tokenization.conftest import source
from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.test_mysql import TOKENIZER, choices, people, shop
from tests.backend.tokenization.test_reconcile import plain
from tests.backend.tokenization.world import Recorder, World
from tests.faults.servers import Wire
from tests.faults.test_cut_commit import CUTS
from tests.faults.test_tokenization import wire, wired

__all__ = ["people", "shop", "source", "wire", "wired"]


@pytest.mark.parametrize("method", ["in-place", "rewrite"])
@pytest.mark.parametrize("cut", CUTS)
def test_postgres(
    wired: World, wire: Wire, cut: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = rewrite.commit

    def commit(connection: Any) -> None:
        wire.commits = [cut]
        original(connection)

    monkeypatch.setattr(rewrite, "commit", commit)
    ended = wired.work(wired.start("customers", "email", method=method))
    assert not wire.commits
    if cut == "unanswered":
        assert (ended.state, ended.rows_updated, plain(wired)) == (RunState.SUCCEEDED, 50, 0)
    else:
        assert (ended.state, ended.rows_updated, plain(wired)) == (RunState.INTERRUPTED, 0, 50)


@pytest.mark.parametrize("cut", CUTS)
def test_mysql(people: MySource, cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlike PostgreSQL it remembers no transaction: what the table holds decides."""
    original = mysql.commit
    with Wire(people.settings["host"], int(people.settings["port"])) as wire:

        def commit(connection: Any) -> None:
            wire.commits = [cut]
            original(connection)

        monkeypatch.setattr(mysql, "commit", commit)
        engine = people.engine("people", host="127.0.0.1", port=str(wire.port))
        with pytest.raises(CommitUnknown):
            engine.rewrite(choices("email"), TOKENIZER, Recorder())
    left = people.engine("people").count_plain(["email"]).rows_plain
    assert left == (0 if cut == "unanswered" else 38)
