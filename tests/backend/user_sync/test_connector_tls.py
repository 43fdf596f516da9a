"""The connector trusts what the workflow's own client trusts, at a server that speaks TLS."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.core.errors import UpstreamUnavailable
from backend.sandbox.openmetadata import StandIn, seeding
from tests.fixtures.certificates import self_signed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class Secure:
    """A stand-in behind TLS, and the certificate it shows."""

    om: StandIn
    certificate: Path
    key: Path

    @property
    def url(self) -> str:
        return self.om.url


def behind_tls(folder: Path, *, asks_for: Path | None = None) -> Secure:
    """asks_for: the clients' certificate that the server demands."""
    certificate, key = self_signed(folder, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if asks_for is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(asks_for)
    om = StandIn(seed=seeding.seed_demo, tls=context)
    return Secure(om.start(), certificate, key)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    found = behind_tls(tmp_path)
    yield found
    found.om.close()


def probe(secure: Secure, **tls: Any) -> str:
    """Who the connector is there, connected as the official client of this configuration is."""
    from metadata.generated.schema.entity.services.connections.metadata.openMetadataConnection import (  # noqa: E501 - the vendor's name
        OpenMetadataConnection,
    )
    from metadata.ingestion.ometa.ometa_api import OpenMetadata

    from backend.user_sync.connector import gateway_of

    config = OpenMetadataConnection.model_validate(
        {
            "hostPort": secure.url,
            "authProvider": "openmetadata",
            "enableVersionValidation": False,
            "securityConfig": {"jwtToken": secure.om.token("portal-admin")},
            **tls,
        }
    )
    client = OpenMetadata(config)
    try:
        with gateway_of(client) as gateway:
            return gateway.probe().principal
    finally:
        client.close()


def test_a_certificate_of_the_companys_own_is_trusted_when_it_is_named(secure: Secure) -> None:
    named = {"caCertificate": str(secure.certificate)}
    assert probe(secure, verifySSL="validate", sslConfig=named) == "portal-admin"


def test_ignore_is_obeyed(secure: Secure) -> None:
    assert probe(secure, verifySSL="ignore") == "portal-admin"


@pytest.mark.parametrize("verify", ["validate", "no-ssl"])
def test_without_its_certificate_it_is_refused(secure: Secure, verify: str, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other, _ = self_signed(folder, "127.0.0.1")
    tls = {"sslConfig": {"caCertificate": str(other)}} if verify == "validate" else {}
    with pytest.raises(UpstreamUnavailable, match=r"(?i)certificate"):
        probe(secure, verifySSL=verify, **tls)
    assert not secure.om.requests, "nothing was said to a server that nobody vouches for"


def test_a_clients_certificate_is_shown_to_who_asks_for_it(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("server", "client")]
    for folder in folders:
        folder.mkdir()
    certificate, key = self_signed(folders[1], "client")
    server = behind_tls(folders[0], asks_for=certificate)
    trusted = {"caCertificate": str(server.certificate)}
    shown = {"sslCertificate": str(certificate), "sslKey": str(key)}
    try:
        both = {**trusted, **shown}
        assert probe(server, verifySSL="validate", sslConfig=both) == "portal-admin"
        with pytest.raises(UpstreamUnavailable):
            probe(server, verifySSL="validate", sslConfig=trusted)
    finally:
        server.om.close()
