"""Attacks and accidents that were tried once, from a table: `cases.yaml`.

A case of another kind, or one that nobody runs, fails `test_every_case_is_run`.
"""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.accounts import backoff
from backend.api import bodies
from backend.cli.main import main
from backend.connections import repository as connections
from backend.connections import resolve, testing
from backend.connections.errors import SecretsAskedAgain
from backend.connections.schemas import EnvironmentView
from backend.core import audit
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import TooManyAttempts
from backend.jobs import recovery
from backend.jobs import repository as jobs
from tests.backend.accounts.test_devices import PASSWORD, cookie, tried
from tests.backend.api.test_rate import Clock, client, clock
from tests.backend.api.test_slow_bodies import held, post, token
from tests.backend.backup.test_damage import damaged
from tests.backend.cli.conftest import RunCli
from tests.backend.connections.bad_server import BadServer
from tests.backend.connections.conftest import Save, prod, save
from tests.backend.core import test_audit as chain
from tests.backend.jobs.conftest import kinds
from tests.backend.jobs.test_recovery import _running, sent

__all__ = ["client", "clock", "cookie", "damaged", "kinds", "prod", "save", "sent", "token"]
CASES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
RUN = {
    "ledger_urls", "addresses_forbidden", "secret_follows_address", "slow_bodies",
    "bearer_spellings", "recovery", "lockout", "audit", "state_damaged",
}  # fmt: skip
Command = Callable[..., str]


@pytest.fixture
def refused(prod: EnvironmentView, run_cli: RunCli) -> Command:
    """refused("set", "Prod", …) → what `connections set …` said when it ended with an error."""

    def run(*arguments: str) -> str:
        ended = run_cli("connections", *arguments)
        assert ended.status != 0
        assert "reference" not in ended.err
        return ended.err

    return run


def test_every_case_is_run() -> None:
    assert set(CASES) == RUN
    assert {case["do"] for case in CASES["audit"]} == set(CHAINS)
    assert {case["expect"] for case in CASES["ledger_urls"]} == {"refused"}


@pytest.mark.parametrize("case", CASES["ledger_urls"], ids=lambda case: case["url"])
def test_a_url_is_refused(
    database: Database, prod: EnvironmentView, refused: Command, case: dict[str, str]
) -> None:
    kind = case.get("kind", "ledger")
    said = refused("set", prod.name, kind, f"url={case['url']}")
    assert case.get("names", "") in said
    why = case.get("why", "may not carry").removesuffix(" may use sqlite")
    assert why in said
    with database.read() as session:
        assert connections.list_connections(session, prod.id) == []


@pytest.mark.parametrize("host", CASES["addresses_forbidden"])
def test_an_address_is_forbidden(
    database: Database, prod: EnvironmentView, refused: Command, host: str
) -> None:
    for kind, setting in (("datahub", f"server=http://{host}:8080"), ("postgres", f"host={host}")):
        more = ("database=d", "user=u") if kind == "postgres" else ()
        assert "cloud metadata address" in refused("set", prod.name, kind, setting, *more)
    with database.read() as session:
        assert connections.list_connections(session, prod.id) == []


@pytest.mark.parametrize("case", CASES["secret_follows_address"])
def test_a_secret_follows_no_address(
    database: Database, prod: EnvironmentView, save: Save, refused: Command, case: dict[str, Any]
) -> None:
    kind, secret = case["set"]["kind"], case["set"]["token"] * 8
    heard: list[bytes] = []

    with BadServer() as there:
        there.behave = lambda connection, _ended: heard.append(connection.recv(1000))
        save(kind, {"server": case["set"]["server"]}, {"token": secret})
        moved = {**case["then"], "server": there.url}
        assert "Enter token again" in refused("set", prod.name, kind, f"server={there.url}")
        with pytest.raises(SecretsAskedAgain):
            testing.run(database, SYSTEM, environment=None, kind=kind, draft=testing.Draft(moved))
    assert heard == []
    with database.read() as session:
        kept = resolve.connection(session, kind=kind)
    assert kept.settings["server"] == case["set"]["server"]


def test_slow_bodies(
    database: Database, token: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good requests are answered while all of them are open, and each ends by the deadline."""
    monkeypatch.setattr(bodies, "DEADLINE", 3_600.0)

    async def test() -> None:
        count = CASES["slow_bodies"]["connections"]
        async with held(count, {}) as (client, slow, let_go):
            assert (await post(client, token, b"{}")).status_code == 422
            let_go.set()
            assert {each.status_code for each in await asyncio.gather(*slow)} == {401}

    asyncio.run(asyncio.wait_for(test(), 120))


def test_spellings_of_a_bearer_token_share_a_bucket(
    database: Database, client: Any, clock: Clock, token: dict[str, str]
) -> None:
    raw = token["Authorization"].removeprefix("Bearer ")
    spellings = [text.removesuffix("T") + raw for text in CASES["bearer_spellings"]]
    found = [
        client.get("/api/jobs", headers={"Authorization": text}).status_code
        for text in spellings * 2
    ]
    assert found == [200] * 5 + [429]


@pytest.mark.usefixtures("kinds")
def test_recovery(any_database: Database, sent: list[int]) -> None:
    """Each is process 1 of its container, all of one name: a start takes nobody's job."""
    name = socket.gethostname() if CASES["recovery"]["same_hostname"] else "elsewhere"
    workers = [f"{name}:1:{number}" for number in range(CASES["recovery"]["workers"])]
    made = [_running(any_database, "test.resume", worker) for worker in workers]
    for _start in workers:
        assert recovery.recover(any_database, at_start=True) == []
    with any_database.write() as session:
        again = [jobs.claim(session, job, worker) for job in made for worker in workers]
    assert not any(again)


def test_lockout(database: Database, cookie: str) -> None:
    case = CASES["lockout"]
    for _ in range(10 * case["wrong_tries_per_second"]):
        with database.write() as session:
            try:
                backoff.count_try(session, name_key="ada", address="6.6.6.6")
            except TooManyAttempts:
                break
    assert tried(database, PASSWORD, address="6.6.6.6") == "TooManyAttempts"
    assert tried(database, PASSWORD, address="10.0.0.1", device=cookie) == case["expect"]


def _older(database: Database) -> None:
    chain._write(database, 2)
    older = chain._head(database)
    chain._write(database, 3)
    chain._roll_back(database, older)


def _without_checkpoint(database: Database) -> str:
    _older(database)
    audit.checkpoint_path().unlink()
    return "is missing"


def _gone_on(database: Database) -> str:
    _older(database)
    chain._write(database, 9)
    return "row 5 was replaced"


def _cut(database: Database) -> str:
    _older(database)
    return "the tail was cut: 5 rows were written, 2 are left"


CHAINS: dict[str, Callable[[Database], str]] = {
    "older database, checkpoint removed": _without_checkpoint,
    "older database, work goes on past the old number": _gone_on,
    "tail cut, count + hash + MAC of that length put back": _cut,
}


@pytest.mark.parametrize("case", CASES["audit"], ids=lambda case: case["do"])
def test_the_audit_chain(database: Database, case: dict[str, str]) -> None:
    said = CHAINS[case["do"]](database)
    found = chain._verify(database)
    assert not found.ok
    assert said in found.problem


def test_a_damaged_state_is_said(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["backend", "doctor"])
    assert main() == 1
    said = "".join(capsys.readouterr())
    for part in ("is damaged", str(damaged), "restore"):
        assert part in said, CASES["state_damaged"]["expect"]
