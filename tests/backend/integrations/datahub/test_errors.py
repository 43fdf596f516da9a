"""Every exception of the SDK and of what it is built on has a sentence of its own."""

import builtins
import importlib
import inspect
import pkgutil

import pydantic
import pytest
import requests
import urllib3

from backend.core.errors import (
    CredentialsRefused,
    InvalidInput,
    OutcomeUnknown,
    PortalError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.datahub import errors, sdk

# Where the SDK that we use defines or raises exceptions.
_MODULES = [
    "datahub.errors",
    "datahub.configuration.common",
    "datahub.emitter.rest_emitter",
    "datahub.emitter.request_helper",
    "datahub.emitter.mcp",
    "datahub.emitter.mcp_patch_builder",
    "datahub.ingestion.graph",
    "datahub.specific",
    "datahub.utilities.urns",
    "datahub.utilities.server_config_util",
    "datahub.utilities.graphql_query_adapter",
]


def _exceptions() -> dict[str, type[Exception]]:
    sdk.load()
    found: dict[str, type[Exception]] = {}
    for module in [*_imported(_MODULES), requests.exceptions, urllib3.exceptions]:
        for _, kind in inspect.getmembers(module, inspect.isclass):
            builtin = getattr(builtins, kind.__name__, None) is kind
            if issubclass(kind, Exception) and not issubclass(kind, Warning) and not builtin:
                found[f"{kind.__module__}.{kind.__name__}"] = kind
    return found


def _imported(names):
    for name in names:
        module = importlib.import_module(name)
        yield module
        for below in pkgutil.iter_modules(getattr(module, "__path__", [])):
            yield importlib.import_module(f"{name}.{below.name}")


def _made(kind: type[Exception]) -> Exception:
    """An instance, whatever its constructor asks for."""
    if issubclass(kind, pydantic.ValidationError):
        return kind.from_exception_data("Config", [])
    made = kind.__new__(kind)
    made.args = ("something went wrong",)
    return made


class TestEveryException:
    def test_is_mapped(self):
        unmapped = [
            name
            for name, kind in _exceptions().items()
            if "an unexpected" in str(errors.translate(_made(kind)))
        ]

        assert unmapped == []

    def test_walk_finds_the_families_it_is_about(self):
        names = _exceptions()

        assert len(names) > 50
        for expected in (
            "datahub.configuration.common.OperationalError",
            "datahub.configuration.common.TraceTimeoutError",
            "datahub.errors.ItemNotFoundError",
            "requests.exceptions.ChunkedEncodingError",
            "urllib3.exceptions.MaxRetryError",
        ):
            assert expected in names

    def test_an_unknown_one_is_named_and_not_known(self):
        class Surprise(Exception):
            pass

        translated = errors.translate(Surprise("boo"))

        assert "an unexpected Surprise" in str(translated)


class TestTranslate:
    def test_a_dead_web_proxy_is_named_without_its_password(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://user:secret@proxy.example:3128")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        dead = requests.exceptions.ProxyError("refused")
        translated = str(errors.translate(dead, server="http://gms.example:8080"))
        assert "the web proxy proxy.example:3128 refused the connection" in translated
        assert "secret" not in translated

    @pytest.mark.parametrize(
        ("status", "kind", "word"),
        [
            (400, UpstreamError, "invalid"),
            (401, CredentialsRefused, "token"),
            (403, UpstreamError, "administrator"),
            (404, UpstreamError, "8080"),
            (418, UpstreamError, "418"),
            (422, UpstreamError, "invalid"),
            (429, UpstreamUnavailable, "Wait"),
            (500, UpstreamError, "500"),
            (503, UpstreamUnavailable, "Try again"),
            (504, UpstreamTimeout, "in time"),
        ],
    )
    def test_a_status_keeps_its_meaning(self, status, kind, word):
        translated = errors.translate(_answered(status), server="http://gms:8080")

        assert type(translated) is kind
        assert word in str(translated)

    def test_the_servers_own_words_are_kept_short(self):
        translated = errors.translate(_answered(422, b'{"message": "' + b"x" * 900 + b'"}'))

        assert 250 < len(str(translated)) < 450

    def test_a_message_of_another_shape_is_not_repeated(self):
        for body in (b"<html>oops</html>", b"[1]", b'{"message": {"a": 1}}'):
            assert "oops" not in str(errors.translate(_answered(500, body)))

    def test_only_a_write_can_be_unknown(self):
        lost = requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted."))

        assert isinstance(errors.translate(lost, writing=True), OutcomeUnknown)
        assert isinstance(errors.translate(lost), UpstreamUnavailable)
        assert isinstance(errors.translate(_answered(504), writing=True), OutcomeUnknown)
        assert not isinstance(errors.translate(_answered(500), writing=True), OutcomeUnknown)
        assert not isinstance(
            errors.translate(requests.exceptions.ConnectTimeout(), writing=True), OutcomeUnknown
        )

    def test_our_own_errors_pass_unchanged(self):
        mine = InvalidInput("mine")

        assert errors.translate(mine) is mine

    def test_all_are_portal_errors(self):
        for kind in _exceptions().values():
            assert isinstance(errors.translate(_made(kind), writing=True), PortalError)


def _answered(status: int, body: bytes = b"{}") -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    response._content = body
    return requests.HTTPError(response=response)
