"""Whose certificates a TLS server may show: the machine's authorities and an environment's own.

One rule for every kind of connection, whatever library speaks: the system's store (truststore), the
portal's PORTAL_CA_BUNDLE, and what the environment adds. Libraries that read a file get all of it
in one. Without `verify` anybody between may pose as the server; pages and tests keep saying so.
"""

import functools
import hashlib
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import certifi
import truststore
from cryptography import x509

from backend.core.errors import InvalidInput
from backend.core.settings import get_settings

MAX_PEM = 512_000
_CA, _VERIFY = "trust.ca", "trust.verify"
#: Where distributions keep their authorities, when OpenSSL was built for another place.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True)
class Trust:
    """ca: PEM of authorities beside the machine's and the portal's; "" for none."""

    ca: str = field(default="", repr=False)
    verify: bool = True

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Self:
        """From a connection's settings, as `as_settings` put it there."""
        return cls(settings.get(_CA, ""), settings.get(_VERIFY) != "off")

    def as_settings(self) -> dict[str, str]:
        """What travels with a connection's settings to its adapter; {} for the default."""
        found = {_CA: self.ca} if self.ca else {}
        return found | ({} if self.verify else {_VERIFY: "off"})

    def context(self) -> ssl.SSLContext:
        """For clients that take one. Raises InvalidInput for an unreadable PORTAL_CA_BUNDLE."""
        return _context(self.ca + portal_authorities(), self.verify)

    def bundle(self) -> str:
        """Path of a file with every authority, for libraries that take one."""
        return _bundle(_system_authorities() + portal_authorities() + self.ca)

    def requests(self) -> str | bool:
        """`verify` as requests and botocore take it."""
        return self.bundle() if self.verify else False


#: The machine's and the portal's authorities, checked.
DEFAULT = Trust()


def authorities(pem: str) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM text; () for none.

    Raises InvalidInput for text that is no PEM, for one with a private key, for too much.
    """
    if not pem.strip():
        return ()
    if len(pem) > MAX_PEM:
        raise InvalidInput(f"The CA certificates are longer than {MAX_PEM // 1000} kB.")
    if "PRIVATE KEY" in pem:
        raise InvalidInput(
            "The CA file holds a private key, which nobody but its owner may have. "
            "Give the certificates alone. Nothing was saved."
        )
    try:
        return tuple(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError as exc:
        raise InvalidInput(
            "The CA certificates cannot be read: they are PEM, each between "
            "-----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----."
        ) from exc


def portal_authorities() -> str:
    """The PEM of PORTAL_CA_BUNDLE, "" without one. Raises InvalidInput when it cannot be used."""
    path = get_settings().ca_bundle
    if not path:
        return ""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not text"
        raise InvalidInput(f"PORTAL_CA_BUNDLE {path} cannot be read ({reason}).") from exc
    try:
        found = authorities(text)
    except InvalidInput as exc:
        raise InvalidInput(f"PORTAL_CA_BUNDLE {path}: {exc.message}") from exc
    if not found:
        raise InvalidInput(f"PORTAL_CA_BUNDLE {path} holds no certificate.")
    return text + "\n"


@functools.lru_cache(maxsize=32)
def _context(pem: str, verify: bool) -> ssl.SSLContext:
    if not verify:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    trusted = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if pem:
        trusted.load_verify_locations(cadata=pem)
    return trusted


@functools.lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="portal-trust-")  # 0700, this process's own


def _bundle(pem: str) -> str:
    path = Path(_folder().name) / f"{hashlib.sha256(pem.encode()).hexdigest()[:32]}.pem"
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)  # something may tidy up /tmp
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as made:
            made.write(pem)
        Path(made.name).replace(path)
    return str(path)


@functools.lru_cache(maxsize=1)
def _system_authorities() -> str:
    """SSL_CERT_FILE or the system's file; certifi's where there is none (macOS, Windows)."""
    named = ssl.get_default_verify_paths().cafile
    files = [Path(name) for name in (named, *_SYSTEM_FILES) if name]
    found = next((file for file in files if file.is_file()), Path(certifi.where()))
    return found.read_text(encoding="utf-8", errors="replace") + "\n"
