"""A flood is told to wait, and only the one who floods."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from backend.accounts import api_tokens
from backend.api.app import create_app
from backend.api.callers import Callers
from backend.api.rate import RateLimit
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.core.settings import get_settings


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _tokens(database: Database, count: int) -> list[dict[str, str]]:
    made = []
    for number in range(count):
        with database.write() as session:
            raw = api_tokens.add(session, SYSTEM, name=f"nightly {number}", role=Role.VIEWER).raw
        made.append({"Authorization": f"Bearer {raw}"})
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(database: Database, clock: Clock) -> Iterator[TestClient]:
    """The API with five requests a minute, around the whole app."""
    limited = Callers(RateLimit(create_app(), per_minute=5, now=clock))
    with TestClient(limited, raise_server_exceptions=False) as client:
        yield client


class TestRateLimit:
    def test_one_request_too_many_is_told_how_long_to_wait(
        self, client: TestClient, database: Database, clock: Clock
    ) -> None:
        (token,) = _tokens(database, 1)
        answers = [client.get("/api/jobs", headers=token) for _ in range(7)]
        assert [a.status_code for a in answers] == [200] * 5 + [429] * 2
        assert set(answers[-1].json()) == {"error", "detail", "reference"}
        assert "5 requests a minute" in answers[-1].json()["detail"]
        wait = int(answers[-1].headers["Retry-After"])
        clock.seconds += wait
        assert client.get("/api/jobs", headers=token).status_code == 200

    def test_one_busy_program_does_not_stop_another_at_its_address(
        self, client: TestClient, database: Database
    ) -> None:
        busy, quiet = _tokens(database, 2)
        assert client.get("/api/jobs", headers=quiet).status_code == 200
        assert [client.get("/api/jobs", headers=busy).status_code for _ in range(7)][-1] == 429
        assert client.get("/api/jobs", headers=quiet).status_code == 200

    def test_made_up_tokens_share_the_bucket_of_their_address(
        self, client: TestClient, database: Database
    ) -> None:
        (good,) = _tokens(database, 1)
        assert client.get("/api/jobs", headers=good).status_code == 200
        guesses = [
            client.get("/api/jobs", headers={"Authorization": f"Bearer {number}"}).status_code
            for number in range(6)
        ]
        assert guesses == [401] * 5 + [429]
        assert client.get("/api/jobs", headers=good).status_code == 200

    def test_every_spelling_of_the_header_is_the_one_token(
        self, client: TestClient, database: Database
    ) -> None:
        (good,) = _tokens(database, 1)
        raw = good["Authorization"].removeprefix("Bearer ")
        spellings = [f"Bearer {raw}", f"bearer {raw}", f"beareR  {raw}", f"BEARER {raw} "] * 2
        found = [
            client.get("/api/jobs", headers={"Authorization": text}).status_code
            for text in spellings
        ]
        assert found == [200] * 5 + [429] * 3

    def test_a_made_up_token_that_asks_for_nothing_there_gets_no_bucket_of_its_own(
        self, client: TestClient
    ) -> None:
        found = [
            client.get(f"/api/nothing/{n}", headers={"Authorization": f"Bearer made-up-{n}"})
            for n in range(7)
        ]
        assert [answer.status_code for answer in found] == [404] * 5 + [429] * 2

    @pytest.mark.parametrize(
        ("addresses", "found"),
        [
            ([f"2001:db8:0:7::{n:x}" for n in range(7)], [200] * 5 + [429] * 2),
            ([f"::ffff:198.51.100.{n}" for n in (1, 1, 1, 1, 1, 1, 2)], [200] * 5 + [429, 200]),
            ([f"2001:db8:0:{n}::1" for n in range(7)], [200] * 7),
            (["198.51.100.1"] * 5 + ["::ffff:198.51.100.1"] * 2, [200] * 5 + [429] * 2),
        ],
        ids=["one line's /64", "mapped", "other lines", "mapped and plain"],
    )
    def test_one_line_is_one_caller_however_many_addresses_it_has(
        self, clock: Clock, addresses: list[str], found: list[int]
    ) -> None:
        limited = RateLimit(PlainTextResponse("ok"), per_minute=5, now=clock)
        said = []
        for address in addresses:
            client = TestClient(limited, client=(address, 5000))
            said.append(client.get("/api/jobs").status_code)
            client.close()
        assert said == found

    def test_every_door_of_the_api_takes_from_the_one_bucket(
        self, client: TestClient, database: Database
    ) -> None:
        (good,) = _tokens(database, 1)
        doors = ("/trigger", "/mcp", "/api/mounts/mount", "/api/nothing", "/api/jobs", "/mcp")
        said = [client.post(path, headers=good, content=b"{}").status_code for path in doors]
        assert 429 not in said[:5]
        assert said[5] == 429
        assert client.get("/api/jobs", headers=good).status_code == 429

    @pytest.mark.parametrize(
        "headers",
        [
            [("Authorization", "Basic eDp5")],
            [("Authorization", "Bearer"), ("Authorization", "{good}")],
            [("Authorization", "Bearer\t{raw}")],
            [("X-Api-Token", "{raw}"), ("Cookie", "portal_session={raw}")],
        ],
        ids=["basic", "a second header", "a tab", "elsewhere"],
    )
    def test_what_is_no_token_counts_for_its_address(
        self, client: TestClient, database: Database, headers: list[tuple[str, str]]
    ) -> None:
        (good,) = _tokens(database, 1)
        raw = good["Authorization"].removeprefix("Bearer ")
        sent = [(name, text.format(raw=raw, good=f"Bearer {raw}")) for name, text in headers]
        said = [client.get("/api/jobs", headers=sent).status_code for _ in range(7)]  # type: ignore[arg-type]  # a list may name one twice
        assert said == [401] * 5 + [429] * 2
        assert client.get("/api/jobs", headers=good).status_code == 200

    def test_guesses_at_the_token_of_the_metrics_are_counted(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PORTAL_METRICS", "the-token-of-the-metrics")
        get_settings.cache_clear()
        said = [
            client.get("/metrics", headers={"Authorization": f"Bearer {n}"}).status_code
            for n in range(7)
        ]
        assert said == [401] * 5 + [429] * 2

    def test_health_is_free(self, client: TestClient) -> None:
        assert {client.get("/healthz").status_code for _ in range(9)} == {200}

    def test_the_setting_decides_and_zero_means_no_limit(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = {}
        for limit in ("3", "0"):
            monkeypatch.setenv("PORTAL_API_REQUESTS_PER_MINUTE", limit)
            get_settings.cache_clear()
            with TestClient(create_app()) as client:
                found[limit] = [client.get("/api/jobs").status_code for _ in range(5)]
        assert found == {"3": [401] * 3 + [429] * 2, "0": [401] * 5}
