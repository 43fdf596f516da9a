"""The probes of a deployment, on a real portal and a real nginx before it, right and wrong."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.core.errors import InvalidInput, UpstreamUnavailable
from backend.integrations.portal import probes
from backend.integrations.portal.probes import Address
from tests.backend.connections.bad_server import BadServer, answer
from tests.fixtures import processes
from tests.fixtures.portal import Portal

WRONG = """
add_header Access-Control-Allow-Origin * always;
client_max_body_size 1m;
location / {
    proxy_pass http://127.0.0.1:%d;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $portal_connection;
    proxy_set_header Origin "";
}
location = /_stcore/health { return 404; }
"""
#: No upgrade is passed on, and a body is waited for as long as the client likes.
BARE = (
    "client_body_timeout 1h; client_header_timeout 1h;"
    " location / { proxy_pass http://127.0.0.1:%d; }"
)


def _nginx(folder: Path, portal: Portal, text: str) -> Iterator[Address]:
    try:
        nginx = processes.program("nginx", package="nginx-light")
    except processes.ServerUnavailable as exc:
        processes.missing("nginx", str(exc))
    port = processes.free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        "events {}\nhttp {\naccess_log off;\n"
        + "".join(f"{kind}_temp_path {folder}/temp;\n" for kind in kinds)
        + 'map $http_upgrade $portal_connection { default upgrade; "" close; }\n'
        + f"server {{ listen 127.0.0.1:{port}; {text % portal.port} }}\n}}\n"
    )
    process = processes.Process(
        [nginx, "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"], log=folder / "nginx.log"
    )
    try:
        process.wait_until(lambda: processes.listens("127.0.0.1", port), seconds=60)
        yield Address.of(f"http://127.0.0.1:{port}")
    finally:
        process.stop()


@pytest.fixture(scope="module")
def wrong(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    yield from _nginx(tmp_path_factory.mktemp("wrong"), portal, WRONG)


@pytest.fixture(scope="module")
def bare(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    yield from _nginx(tmp_path_factory.mktemp("bare"), portal, BARE)


def test_the_portal_itself_lets_none_of_them_in(portal: Portal) -> None:
    address = Address.of(f"http://localhost:{portal.port}")
    found = {check.__name__: check(address) for check in probes.WITHOUT_TOKEN}
    assert {name: check.seen for name, check in found.items() if not check.ok} == {}
    assert found["own_socket"].seen == "Answered 101."
    assert found["slow_head"].seen == "Answered 408."


@pytest.mark.parametrize(
    ("check", "mend"),
    [
        (probes.foreign_page, "Remove add_header Access-Control-Allow-Origin"),
        (probes.foreign_socket, "Remove proxy_set_header Origin"),
        (probes.usual_body, "client_max_body_size 10m;"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_proxy_that_is_set_wrong_is_named(
    wrong: Address, check: "probes.Callable[[Address], probes.Check]", mend: str
) -> None:
    found = check(wrong)
    assert (found.ok, found.mend.startswith(mend)) == (False, True), found


@pytest.mark.parametrize("status", ["502 Bad Gateway", "403 Forbidden", "200 OK"])
def test_a_body_that_somebody_else_answers_did_not_come_through(status: str) -> None:
    with BadServer() as server:
        server.behave = answer(status)
        found = probes.usual_body(Address.of(server.url))
    assert (found.ok, found.seen) == (False, f"Answered {status[:3]}."), found
    assert "The portal answers 401 here" in found.mend


def test_a_proxy_that_passes_no_websocket_on_is_named(bare: Address) -> None:
    found = probes.own_socket(bare)
    assert (found.ok, "Upgrade $http_upgrade" in found.mend) == (False, True), found
    assert found.mend.endswith("Host $host:$server_port;")  # neither 80 nor 443


def test_a_proxy_that_waits_for_a_body_is_named(bare: Address) -> None:
    found = probes.slow_body(bare, seconds=3)
    assert (found.ok, found.mend) == (False, "client_body_timeout 15s;"), found


def test_a_proxy_that_waits_for_a_head_is_named(bare: Address) -> None:
    found = probes.slow_head(bare, seconds=3)
    assert (found.ok, found.mend) == (False, "client_header_timeout 10s;"), found


def test_plain_http_is_for_this_machine_only() -> None:
    assert probes.plain_http(Address.of("http://127.0.0.1:8501")).ok
    found = probes.plain_http(Address.of("http://portal.example.org"))
    assert (found.ok, "listen 443 ssl" in found.mend) == (False, True)


def test_what_is_no_address_or_nobodys(portal: Portal) -> None:
    for text in ("portal.example.org", "ftp://x", "http://x:port"):
        with pytest.raises(InvalidInput):
            Address.of(text)
    with pytest.raises(UpstreamUnavailable, match="does not answer"):
        probes.believed(Address.of("http://127.0.0.1:1"), "token")


def test_what_stops_answering_is_a_sentence() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = Address.of(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(UpstreamUnavailable, match="/healthz does not answer"):
            probes.foreign_page(gone)
