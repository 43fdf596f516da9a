"""Where the client finds its settings: arguments > environment > client.conf > defaults."""

import configparser
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import DMSClientException

log = logging.getLogger(__name__)

CONFIG_FILE = Path(".trilio-dms") / "client.conf"
SECTION = "client"
DEFAULT_TIMEOUT = 300.0
DEFAULT_LOG_LEVEL = "INFO"

#: The file's keys, and the variables that win over them.
_VARIABLES = {
    "db_url": "DMS_DB_URL",
    "rabbitmq_url": "DMS_RABBITMQ_URL",
    "timeout": "DMS_REQUEST_TIMEOUT",
    "log_level": "DMS_LOG_LEVEL",
    "keystone_token": "KEYSTONE_TOKEN",
    "ssl_ca_file": "DMS_SSL_CA_FILE",
    "ssl_cert_file": "DMS_SSL_CERT_FILE",
    "ssl_key_file": "DMS_SSL_KEY_FILE",
}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class DMSConfig:
    """timeout: seconds to wait for a DMS server. Empty strings: not configured.

    tls: files for brokers that are spoken to with TLS and whose address names none.
    """

    db_url: str = field(repr=False)
    rabbitmq_url: str = field(repr=False)
    timeout: float
    log_level: str
    keystone_token: str = field(repr=False)
    tls: Mapping[str, str] = field(default_factory=dict)


def load(
    *,
    db_url: str | None = None,
    rabbitmq_url: str | None = None,
    timeout: float | None = None,
    environ: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> DMSConfig:
    """The effective settings.

    Raises DMSClientException naming every wrong value at once, and where it came from.
    """
    environ = os.environ if environ is None else environ
    path = (home or Path.home()) / CONFIG_FILE
    given = {"db_url": db_url, "rabbitmq_url": rabbitmq_url, "timeout": timeout}
    stored = _read_file(path)
    found: dict[str, tuple[str, str]] = {}
    for name, variable in _VARIABLES.items():
        if given.get(name) not in (None, ""):
            found[name] = (str(given[name]), f"the argument {name}")
        elif environ.get(variable):
            found[name] = (environ[variable], variable)
        elif stored.get(name):
            found[name] = (stored[name], f"{name} in {path}")
    problems: list[str] = []
    config = DMSConfig(
        db_url=_text(found, "db_url"),
        rabbitmq_url=_text(found, "rabbitmq_url"),
        timeout=_seconds(found.get("timeout"), problems),
        log_level=_level(found.get("log_level"), problems),
        keystone_token=_text(found, "keystone_token"),
        tls={name: _text(found, name) for name in _VARIABLES if name.startswith("ssl_")},
    )
    if problems:
        raise DMSClientException("The DMS client's settings are wrong: " + "; ".join(problems))
    return config


def _read_file(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)  # passwords contain %
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as exc:
        raise DMSClientException(f"{path} cannot be read ({type(exc).__name__}).") from exc
    if not parser.has_section(SECTION):
        return {}
    stored = dict(parser[SECTION])
    unknown = sorted(set(stored) - set(_VARIABLES))
    if unknown:
        log.warning(
            "%s: [%s] knows no %s; it knows %s.",
            path,
            SECTION,
            ", ".join(unknown),
            ", ".join(_VARIABLES),
        )
    return stored


def _text(found: Mapping[str, tuple[str, str]], name: str) -> str:
    return found.get(name, ("", ""))[0].strip()


def _seconds(found: tuple[str, str] | None, problems: list[str]) -> float:
    if found is None:
        return DEFAULT_TIMEOUT
    text, source = found
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        problems.append(f"{source} must be a number of seconds between 0 and 86400, not {text!r}")
        return DEFAULT_TIMEOUT
    return value


def _level(found: tuple[str, str] | None, problems: list[str]) -> str:
    if found is None:
        return DEFAULT_LOG_LEVEL
    text, source = found[0].strip().upper(), found[1]
    if text not in _LEVELS:
        problems.append(f"{source} must be one of {', '.join(_LEVELS)}, not {found[0]!r}")
        return DEFAULT_LOG_LEVEL
    return text
