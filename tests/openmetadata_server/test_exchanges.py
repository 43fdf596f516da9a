"""Every exchange that the stand-in models, once at each: a difference names the field."""

from contextlib import contextmanager

import pytest

from tests.openmetadata_server.conftest import needs
from tests.openmetadata_server.exchanges import EXCHANGES, Exchange, Stage, differences
from tests.openmetadata_server.target import Target, simulated

Seen = dict[str, dict[str, object]]


beside = contextmanager(simulated)


def all_seen(target: Target) -> Seen:
    stage = Stage.at(target)
    return {
        exchange.name: stage.seen(exchange)
        for exchange in EXCHANGES
        if not exchange.who or exchange.who in target.tokens
    }


@pytest.fixture(scope="session")
def both(target: Target) -> tuple[Seen, Seen]:
    """What the stand-in of the server's version answers, and what the server does."""
    version = str(target.call("GET", "system/version", who="").json()["version"])
    with beside(version) as standin:
        return all_seen(standin), all_seen(target)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda e: e.name.replace(" ", "-"))
def test_the_stand_in_says_what_the_server_says(
    both: tuple[Seen, Seen], target: Target, exchange: Exchange
) -> None:
    if exchange.who:
        needs(target, exchange.who)
    ours, theirs = (seen[exchange.name] for seen in both)
    found = list(differences(ours, theirs))
    assert not found, f"{exchange.method} {exchange.path}: " + "; ".join(found)


class TestComparison:
    """It has to find what it is there for."""

    def test_names_the_field(self) -> None:
        ours = {"status": 200, "answer": {"domains": [{"name": "A", "inherited": True}]}}
        theirs = {"status": 200, "answer": {"domains": [{"name": "A"}]}, "more": 1}
        assert list(differences(ours, theirs)) == [
            "answer.domains[0].inherited: the stand-in says True, the server nothing"
        ]

    def test_finds_another_status_and_a_missing_entry(self) -> None:
        found = list(differences({"status": 412, "a": [1, 2]}, {"status": 200, "a": [1]}))
        assert found == [
            "status: the stand-in says 412, the server 200",
            "a: the stand-in has 2 entries, the server 1",
        ]

    def test_another_version_is_found_out(self) -> None:
        with beside("1.9.11") as old, beside("2.0.6") as new:
            ours, theirs = all_seen(old), all_seen(new)
        found = [name for name in ours if list(differences(ours[name], theirs[name]))]
        assert "a version nobody has" in found
