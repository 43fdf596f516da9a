"""A directory that limits requests is waited for as long as it asks, where there is time."""

import json
import time
from email.utils import formatdate
from types import SimpleNamespace

import httpx
import pytest

from backend.integrations import http
from backend.integrations.directory import exchange
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.errors import RateLimited
from backend.integrations.directory.source import Options
from backend.sandbox.loopback import json_response
from tests.backend.integrations.directory import test_any_directory as others
from tests.backend.integrations.directory.test_any_directory import RELAY, RELAY_MAP, relay

serve = others.serve


@pytest.fixture
def pauses(monkeypatch):
    found = []
    monkeypatch.setattr(exchange, "pause", found.append)
    return found


def limited_once_at(cursor, **headers):
    refused = []

    def answer(request):
        if json.loads(request.body)["variables"].get("after") == cursor and not refused:
            refused.append(cursor)
            return json_response(429, {"errors": [{"message": "slow down"}]}, **headers)
        return relay(request)

    return answer


def ask(server, timeout=60.0):
    options = Options(query=RELAY, mapping=RELAY_MAP, page_size=10)
    return DirectoryClient(server.url, options=options, timeout=timeout).users()


def test_a_limit_in_the_middle_is_waited_for(serve, pauses):
    assert len(ask(serve(limited_once_at("10", Retry_After="7")))) == 25
    assert [int(pause) for pause in pauses] == [7]


def test_a_limit_until_a_moment(serve, pauses):
    until = formatdate(time.time() + 50, usegmt=True)
    assert len(ask(serve(limited_once_at("10", Retry_After=until)), timeout=600.0)) == 25
    assert len(pauses) == 1
    assert 0 < pauses[0] < 52


@pytest.mark.parametrize("asked", ["61", "9" * 400])
def test_a_longer_wait_than_there_is_time_is_named(serve, pauses, asked):
    with pytest.raises(RateLimited, match=r"HTTP 429, for [0-9,]+ s"):
        ask(serve(limited_once_at("10", Retry_After=asked)))
    assert pauses == []


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "soon"}, {"Retry_After": "-1"}])
def test_a_limit_that_names_no_time_is_not_waited_for(serve, pauses, headers):
    with pytest.raises(RateLimited, match="slow down"):
        ask(serve(limited_once_at("10", **headers)))
    assert pauses == []


def test_a_limit_that_asks_for_nothing_and_never_ends(serve, monkeypatch):
    """Each try takes some of the time for one answer."""
    waited = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(waited))
    monkeypatch.setattr(exchange, "pause", waited.append)
    monkeypatch.setattr(exchange, "time", clock)
    server = serve(lambda _r: json_response(429, {}, Retry_After="0"))
    with pytest.raises(RateLimited):
        ask(server, timeout=5.0)
    assert 1 < len(server.asked) < 30


@pytest.mark.parametrize("said", ["", "x", "1e400", "nan", "Wed, 21 Oct 99999 07:28:00 GMT"])
def test_a_wait_that_cannot_be_read_is_none(said):
    assert http.retry_after(httpx.Response(429, headers={"Retry-After": said})) is None
