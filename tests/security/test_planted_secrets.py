"""Marked secrets are planted wherever the portal takes one; then every output is searched.

The secrets of connections have a test of their own (tests/backend/connections/test_no_leaks.py);
here are people's passwords, sessions, API tokens, the portal's keys, the credentials inside mount
requests, and the settings of the environment.
"""

import base64
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from backend.accounts import api_tokens, audit_log, service, sessions, sign_in, tickets
from backend.accounts.audit_log import AuditFilter
from backend.core import log, secret_store
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.core.errors import PortalError
from backend.core.settings import get_settings
from backend.jobs import runner
from backend.mounts import actions
from backend.sandbox import dms_broker as memory
from pages.shell import registry
from tests.fixtures.pages import OpenPage

MARK = "pl4nted"
#: What tests put in by hand; none has the shape of a credential that a pattern could recognise.
PASSWORD = f"{MARK}: a pass phrase/with=signs"
WRONG = f"{MARK}: what somebody typed wrongly"
KEYSTONE = f"{MARK}+keystone/of a person="
SECRET_REF = f"{MARK}-secret-ref/of?the&bucket"
SETTINGS = {
    "PORTAL_ADMIN_PASSWORD": f"{MARK}-admin-password-of-the-environment",
    "DMS_DB_URL": f"mysql+pymysql://dms:{MARK}-ledger@127.0.0.1:1/dms",
    "DMS_RABBITMQ_URL": f"amqp://dms:{MARK}-broker@127.0.0.1:1/",
    "KEYSTONE_TOKEN": f"{MARK}-keystone-of-the-environment",
    "DBX_TOKEN": f"{MARK}-databricks-of-the-environment",
}
ECHOING, GONE = "echo-01", "nobody-01"


def _request(host: str, **changed: Any) -> dict[str, Any]:
    return {
        "context": {"user_id": "u", "tenant_id": "t", "auth_token": f"{MARK}-in-the-context"},
        "keystone_token": KEYSTONE,
        "job": {"jobid": 4711, "password": f"{MARK}-in-the-job"},
        "host": host,
        "action": "mount",
        "backup_target": {
            "id": f"target-on-{host}",
            "type": "s3",
            "filesystem_export_mount_path": "/mnt/x",
            "secret_ref": SECRET_REF,
        },
        **changed,
    }


def _echo(body: bytes) -> list[bytes]:
    """The worst DMS server: its error repeats the whole request."""
    said = {"status": "error", "error_msg": f"failed: {body.decode()}", "success_msg": None}
    return [json.dumps(said).encode()]


class Search:
    """Looks for every spelling of every secret; says where it was found, and which."""

    def __init__(self, secrets: dict[str, str]) -> None:
        self.spellings = {MARK: "a marked secret"}
        for name, value in secrets.items():
            for spelling in (
                value,
                quote(value, safe=""),
                json.dumps(value)[1:-1],
                base64.b64encode(value.encode()).decode(),
            ):
                self.spellings[spelling] = name

    def __call__(self, text: str, where: str) -> None:
        found = {
            name: text[max(0, text.find(spelling) - 150) :][:300]
            for spelling, name in self.spellings.items()
            if spelling in text
        }
        assert not found, f"{where}: {found}"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything the process logs at DEBUG, through the portal's own handler."""
    root, stream = logging.getLogger(), io.StringIO()
    before, level, original = list(root.handlers), root.level, sys.stderr
    sys.stderr = stream
    log.configure("DEBUG")
    yield stream
    sys.stderr = original
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DMS_REQUEST_TIMEOUT", "1")
    get_settings.cache_clear()


@pytest.fixture
def planted(environ: None, logged: io.StringIO, world: Database) -> SimpleNamespace:
    """Accounts, sessions and tokens; `.search` knows every raw value."""
    log.configure("DEBUG")
    with world.write() as session:
        ann = service.create(session, SYSTEM, name="ann", role=Role.ADMIN, password=PASSWORD)
        cookie = sessions.open_session(
            session, account_id=ann.id, address="127.0.0.1", user_agent="test"
        )
        ticket = tickets.issue(session, account_id=ann.id, browser="nonce-of-a-browser-0123456789")
        token = api_tokens.add(session, SYSTEM, name="bot", role=Role.ADMIN).raw
    key = (get_settings().data_dir / "secret.key").read_text().split()[0]
    with world.read() as session:
        audit_key = secret_store.read(session, secret_store.get_vault(), secret_store.AUDIT_KEY)
    raw = {
        "session cookie": cookie,
        "ticket": ticket,
        "API token": token,
        "vault key": key,
        "audit key": base64.b64encode(audit_key).decode(),
        "password": PASSWORD,
        "wrong password": WRONG,
        "keystone token": KEYSTONE,
        "secret ref": SECRET_REF,
    }
    return SimpleNamespace(token=token, search=Search(raw), database=world)


@pytest.fixture
def broker(planted: SimpleNamespace) -> None:
    """The echoing server's queue on the world's broker in memory."""
    from backend.connections import resolve
    from backend.dms.transport import queue_of

    with planted.database.read() as session:
        url = resolve.url(resolve.connection(session, kind="rabbitmq"))
    memory.broker(url.split("://")[1].split("?")[0]).consume(queue_of(ECHOING), _echo)


def _over_rest(planted: SimpleNamespace, client: TestClient) -> None:
    headers = {"Authorization": f"Bearer {planted.token}"}
    requests = [
        _request(ECHOING),
        _request(GONE),
        _request("compute-01"),
        _request("compute-01", keystone_token={"id": KEYSTONE}),
        _request("compute-01", backup_target={"id": SECRET_REF * 90, "secret_ref": SECRET_REF}),
        _request(f"host {SECRET_REF}"),
    ]
    for path in ("/api/mounts/mount", "/api/mounts/unmount"):
        for request in requests:
            answer = client.post(path, headers=headers, json=request)
            planted.search(answer.text, f"{path} {answer.status_code}")
    answer = client.post("/api/mounts/mount", headers=headers, content=json.dumps(requests[0])[:-5])
    planted.search(answer.text, "a broken body")
    for path in client.get("/api/openapi.json").json()["paths"]:
        if "{" not in path:
            answer = client.get(path, headers=headers)
            planted.search(answer.text, f"GET {path}")
    for bad in (planted.token[:-1], planted.token + "x", f"{planted.token} {planted.token}"):
        answer = client.get("/api/jobs", headers={"Authorization": f"Bearer {bad}"})
        planted.search(answer.text, "a refused token")


def _by_jobs(planted: SimpleNamespace) -> None:
    for host in (ECHOING, GONE, "compute-01"):
        job_id = actions.submit(
            planted.database, SYSTEM, kind="mount", request=_request(host, job={"jobid": 12})
        )
        runner.run(job_id, planted.database)


def _by_signing_in(planted: SimpleNamespace) -> None:
    def attempt(name: str, password: str) -> None:
        try:
            sign_in.authenticate(planted.database, name=name, password=password, address="1.2.3.4")
        except PortalError as exc:
            planted.search(exc.message, "the sign-in form")

    attempt("ann", PASSWORD)
    attempt("ann", WRONG)
    attempt("nobody", WRONG)


def _by_command(
    planted: SimpleNamespace, run_cli: Callable[..., tuple[int, str, str]], folder: Path
) -> None:
    file = folder / "request.json"
    file.write_text(json.dumps(_request(ECHOING)))
    broken = folder / "broken.json"
    broken.write_text(json.dumps(_request(ECHOING))[:-9])
    commands: list[tuple[tuple[str, ...], str]] = [
        (("doctor",), ""),
        (("doctor", "--json"), ""),
        (
            ("mounts", "targets", "set", "s3-a", "--type", "s3", "--mount-path", "/mnt/a"),
            SECRET_REF,
        ),
        (("mounts", "targets", "list", "--json"), ""),
        (("mounts", "mount", str(file)), ""),
        (("mounts", "mount", str(broken)), ""),
        (("mounts", "unmount", str(file)), ""),
        (("mounts", "operations", "--json"), ""),
        (("mounts", "export", "--all"), ""),
        (("mounts", "history", "--json"), ""),
        (("connections", "test", "prod", "ledger", "--json"), ""),
        (("accounts", "add", "bob", "--role", "viewer", "--json"), PASSWORD),
        (("accounts", "add", "bob", "--role", "viewer"), WRONG),
        (("accounts", "list", "--json"), ""),
        (("tokens", "list", "--json"), ""),
        (("environments", "list", "--json"), ""),
        (("audit", "verify", "--json"), ""),
        (("secrets", "rotate", "--json"), ""),
    ]
    for arguments, stdin in commands:
        status, out, err = run_cli(*arguments, stdin=stdin)
        assert status in (0, 1), (arguments, status, err)
        planted.search(out + err, " ".join(arguments))


def test_planted_secrets_come_out_nowhere(
    planted: SimpleNamespace,
    broker: None,
    client: TestClient,
    run_cli: Callable[..., tuple[int, str, str]],
    open_page: OpenPage,
    logged: io.StringIO,
    data_dir: Path,
    tmp_path: Path,
) -> None:
    _by_signing_in(planted)
    _over_rest(planted, client)
    _by_jobs(planted)
    _by_command(planted, run_cli, tmp_path)

    with planted.database.write() as session:
        planted.search(
            audit_log.export_csv(session, SYSTEM, filters=AuditFilter()).text, "the audit export"
        )
    for page in registry.PAGES:
        app = open_page(page.file)
        assert not app.exception, page.file
        planted.search(str(app.main) + str(app.sidebar) + repr(app.session_state), page.file)

    events = logged.getvalue()
    assert "Request refused." in events
    planted.search(events, "the log")
    # State database, its write-ahead log, the mount ledger and all that lies beside them.
    for path in (*data_dir.rglob("*"), *tmp_path.glob("*.sqlite*")):
        if path.is_file() and path.name != "secret.key":
            planted.search(path.read_bytes().decode("latin-1"), path.name)


@pytest.mark.parametrize("spelling", [quote(KEYSTONE, safe=""), KEYSTONE, "x" + SECRET_REF])
def test_the_search_would_find_a_leak(spelling: str) -> None:
    with pytest.raises(AssertionError, match="somewhere"):
        Search({"keystone": KEYSTONE})(f"…{spelling}…", "somewhere")
