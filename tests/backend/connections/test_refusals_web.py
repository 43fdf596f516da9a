"""What a connection test says when a web system refuses, and what is refused before asking."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.connections import testing
from backend.connections.schemas import EnvironmentView
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.core.trust import Trust
from tests.backend.connections import bad_server as bad
from tests.backend.connections.refusals import Ask, behaving, documented
from tests.fixtures.certificates import self_signed

#: kind → (setting, path behind the address, secret)
WEB = {
    "datahub": ("server", "", "token"),
    "openmetadata": ("host_port", "/api", "jwt_token"),
    "directory": ("endpoint", "/graphql", "token"),
    "aws": ("endpoint_url", "", "secret_access_key"),
}
ANSWERS = {
    "redirect": bad.answer("302 Found", "", "Location: http://elsewhere.example/x"),
    "400": bad.answer("400 Bad Request", '{"message": "no"}'),
    "401": bad.answer("401 Unauthorized", '{"message": "no"}'),
    "403": bad.answer("403 Forbidden", '{"message": "no"}'),
    "404": bad.answer("404 Not Found", '{"message": "no"}'),
    "429": bad.answer("429 Too Many Requests", '{"message": "slow down"}'),
    "500": bad.answer("500 Internal Server Error", '{"message": "broken"}'),
    "502": bad.answer("502 Bad Gateway", "<html>nginx</html>", kind="text/html"),
    "503": bad.answer("503 Service Unavailable", "{}"),
    "504": bad.answer("504 Gateway Timeout", "{}"),
    "a web page": bad.html,
    "hangs up": bad.hang_up,
    "no answer": bad.silent,
}


def _aws_error(status: str, code: str) -> bad.Behaviour:
    """As the Security Token Service answers."""
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    return bad.answer(status, body, kind="text/xml")


AWS_ANSWERS = {
    "no such access key": _aws_error("403 Forbidden", "InvalidClientTokenId"),
    "wrong secret key": _aws_error("403 Forbidden", "SignatureDoesNotMatch"),
    "expired session": _aws_error("403 Forbidden", "ExpiredToken"),
    "right is missing": _aws_error("403 Forbidden", "AccessDenied"),
    "throttled": _aws_error("400 Bad Request", "Throttling"),
    **{case: ANSWERS[case] for case in ("502", "a web page", "hangs up", "no answer")},
}


@pytest.mark.parametrize("kind", WEB)
def test_web_servers(
    kind: str, ask: Callable[..., Ask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ask(kind)
    setting, path, secret = WEB[kind]
    secrets = {secret: "some.secret.value"}
    more = {"region": "eu-central-1", "access_key_id": "AK"} if kind == "aws" else {}

    def at(case: str, address: str) -> None:
        made(case, {setting: address + path, **more}, secrets)

    for case, behave in (AWS_ANSWERS if kind == "aws" else ANSWERS).items():
        with behaving(behave) as server:
            at(case, server.url)
    with behaving(bad.answer("200 OK", "{}"), self_signed(tmp_path, "127.0.0.1")) as server:
        at("a certificate of its own", server.url)
        at("http to a TLS port", server.url.replace("https:", "http:"))
    with behaving(bad.answer("400 Bad Request", "{}")) as server:
        at("https to a plain port", server.url.replace("http:", "https:"))
    at("nothing listens", "http://127.0.0.1:1")
    at("unknown host", "http://no-such-host.invalid")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    at("a dead web proxy", "http://gms.example")
    documented(kind, made.said)


#: As Databricks's front door answers: the reason in a header of its own.
_REASON = "X-Databricks-Reason-Phrase: Invalid access token."
DATABRICKS_ANSWERS = {
    **{case: ANSWERS[case] for case in ("redirect", "400", "401", "404", "500", "502", "504")},
    "403": bad.answer("403 Forbidden", "{}", _REASON),
    "429, to be asked later": bad.answer("429 Too Many Requests", "{}", "Retry-After: 30"),
    "503, the warehouse starts": bad.answer("503 Service Unavailable", "{}", "Retry-After: 30"),
    "503": ANSWERS["503"],
    **{case: ANSWERS[case] for case in ("a web page", "hangs up", "no answer")},
}


def test_databricks(ask: Callable[..., Ask], tmp_path: Path) -> None:
    made = ask("databricks")
    certificate = self_signed(tmp_path, "127.0.0.1")

    def at(case: str, place: str) -> None:
        address = f"jdbc:databricks://{place};httpPath=/sql/1.0/warehouses/x"
        made(case, {"jdbc_url": address}, {"access_token": "dapi-of-a-test"})

    made.trust = Trust(verify=False)
    for case, behave in DATABRICKS_ANSWERS.items():
        with behaving(behave, certificate) as server:
            at(case, f"127.0.0.1:{server.port}")
    made.trust = Trust()
    with behaving(bad.answer("200 OK", "{}"), certificate) as server:
        at("a certificate of its own", f"127.0.0.1:{server.port}")
    with behaving(bad.answer("400 Bad Request", "{}")) as server:
        at("a plain port", f"127.0.0.1:{server.port}")
    at("nothing listens", "127.0.0.1:1")
    at("unknown host", "no-such-host.invalid:443")
    documented("databricks", made.said)


#: What is typed → (settings, secrets). Nothing outside is asked: the refusal comes before.
KEYS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "key that is no base64": ({}, {"key": "not base64!"}),
    "key in hexadecimal": ({}, {"key": "5f" * 32}),
    "key of URL-safe base64": ({}, {"key": "-_" * 21 + "-="}),
    "key without its padding": ({}, {"key": base64.b64encode(bytes(32)).decode().rstrip("=")}),
    "key of 16 bytes": ({}, {"key": base64.b64encode(bytes(16)).decode()}),
    "key of 31 bytes": ({}, {"key": base64.b64encode(bytes(31)).decode()}),
    "key of 64 bytes": ({}, {"key": base64.b64encode(bytes(64)).decode()}),
    "key with a control character": ({}, {"key": "\x00" * 32}),
    "key of a whole file": ({}, {"key": "A" * 4004}),
    "unknown scheme": ({"scheme": "sha256"}, {}),
    "unknown tag": ({"dataset_tag": "always"}, {}),
    "unknown interval": ({"compare": "hourly"}, {}),
    "unknown setting": ({"salt": "x"}, {}),
    "unknown secret": ({}, {"password": "x"}),
}


def test_tokenization(database: Database, prod: EnvironmentView) -> None:
    said = {}
    for case, (settings, secrets) in KEYS.items():
        with pytest.raises(InvalidInput) as refused:
            draft = testing.Draft(settings, secrets)
            testing.run(database, SYSTEM, environment="Prod", kind="tokenization", draft=draft)
        said[case] = refused.value.message
    documented("tokenization", said)
