"""The network's own reasons, told apart along the chain of causes."""

import errno
import socket
import ssl

import httpx
import pytest

from backend.core.errors import NothingListens, UpstreamTimeout
from backend.integrations import network
from backend.integrations.network import Place

LOCAL = Place.of("http://localhost:8080")
FAR = Place.of("https://gms.example:8443/api")


def wrapped(inner: BaseException) -> BaseException:
    """As SDKs do: the reason is the cause of an argument of a cause."""
    middle = OSError(inner)
    outer = RuntimeError("request failed")
    outer.__cause__ = middle
    return outer


def said(exc: BaseException, place: Place = FAR) -> str:
    found = network.explain(wrapped(exc), "Sys", place)
    assert found is not None
    assert found.system == "Sys"
    return f"{found.cause} {found.advice}"


def certificate(code: int) -> ssl.SSLCertVerificationError:
    exc = ssl.SSLCertVerificationError(1, "failed")
    exc.verify_code, exc.verify_message = code, "words of OpenSSL"
    return exc


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (20, "Add the issuer's certificate"),
        (18, "Add the issuer's certificate"),
        (62, "name that the certificate was made for"),
        (10, "Have it renewed"),
        (23, "Look at the certificate"),
    ],
)
def test_a_certificate_has_the_advice_of_its_fault(code: int, advice: str) -> None:
    text = said(certificate(code))
    assert "certificate of gms.example is not trusted (words of OpenSSL)" in text
    assert advice in text


@pytest.mark.parametrize(
    ("number", "words"), [(socket.EAI_NONAME, "is not known"), (socket.EAI_AGAIN, "not answer")]
)
def test_a_name_that_is_unknown_and_a_dns_that_is_silent(number: int, words: str) -> None:
    assert words in said(socket.gaierror(number, "x"))


def test_localhost_in_a_container_is_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "in_container", lambda: True)
    assert "localhost is the container itself" in said(ConnectionRefusedError(), LOCAL)
    assert "container" not in said(ConnectionRefusedError(), FAR)
    monkeypatch.setattr(network, "in_container", lambda: False)
    assert "container" not in said(ConnectionRefusedError(), LOCAL)


def test_a_dead_proxy_is_not_called_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:secret@proxy.example:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    text = said(ConnectionRefusedError())
    assert "the web proxy proxy.example:3128 cannot be used for gms.example" in text
    assert "secret" not in text
    monkeypatch.setenv("no_proxy", "gms.example")
    assert "nothing listens at that port of gms.example" in said(ConnectionRefusedError())
    assert "proxy" not in said(ConnectionRefusedError(), Place("db.example"))


def test_plain_http_to_a_tls_port() -> None:
    exc = httpx.RemoteProtocolError(r"illegal status line: bytearray(b'\x15\x03\x03\x00\x02')")
    assert "https://" in said(exc, Place.of("http://gms.example"))
    assert network.explain(exc, "Sys", FAR) is None


def test_other_ends_of_a_connection() -> None:
    assert "closed the TLS connection" in said(ssl.SSLEOFError(8, "eof"))
    assert "no way to gms.example" in said(OSError(errno.EHOSTUNREACH, "x"))
    assert "closed the connection" in said(ConnectionResetError())
    assert isinstance(network.explain(TimeoutError(), "Sys", FAR), UpstreamTimeout)
    refused = network.explain(ConnectionRefusedError(), "Sys", Place("db"))
    assert type(refused) is NothingListens
    assert network.explain(ValueError("something else"), "Sys", FAR) is None
