"""Passwords that people paste inside a URL: taken out to be sealed, put back for the adapter."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from backend.core.errors import InvalidInput
from backend.dms import brokers

_JDBC_PASSWORD = re.compile(r";\s*(?:PWD|Auth_AccessToken)\s*=\s*(?P<value>[^;]*)", re.IGNORECASE)

#: kind -> (the setting that may carry a password, the secret it belongs to)
CARRIERS: Mapping[str, tuple[str, str]] = {
    "ledger": ("url", "password"),
    "rabbitmq": ("url", "password"),
    "databricks": ("jdbc_url", "access_token"),
}


def take_out(
    kind: str, settings: Mapping[str, str], secrets: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Settings without passwords, and secrets with them; a secret given by itself wins."""
    plain, sealed = dict(settings), dict(secrets)
    if kind not in CARRIERS:
        return plain, sealed
    setting, secret = CARRIERS[kind]
    value = plain.get(setting, "")
    split = _split_jdbc if setting == "jdbc_url" else split_password
    rest, password = split(value)
    if password:
        plain[setting] = rest
        sealed[secret] = sealed.get(secret) or password
    return plain, sealed


def split_password(url: str) -> tuple[str, str]:
    """The URL without its password, and the password decoded ("" when there is none)."""
    found: list[str] = []

    def cut(place: str) -> str:
        who, at, where = place.rpartition("@")
        user, colon, password = who.partition(":")
        if not at or not colon:
            return place
        found.append(unquote(password))
        return f"{user}@{where}"

    try:
        rest = _rewritten(url, cut)
    except ValueError:
        return url, ""
    if len(set(found)) > 1:
        raise InvalidInput(
            "The URL holds several passwords. The brokers of one connection share one: give them "
            "the same, or name the password as the connection's secret."
        )
    return (rest, found[0]) if found else (url, "")


def _rewritten(url: str, change: Callable[[str], str]) -> str:
    """`url` with what stands between :// and the path as `change` makes it; of each broker."""
    if url.partition("://")[0].lower() in brokers.SCHEMES:
        return brokers.rewrite(url, change)
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=change(parts.netloc)))


def with_password(url: str, password: str | None) -> str:
    """The URL with the password encoded into it; unchanged without a password or a user."""
    if not password:
        return url

    def put(place: str) -> str:
        who, at, where = place.rpartition("@")
        user = who.partition(":")[0]
        return f"{user}:{quote(password, safe='')}@{where}" if at else place

    return _rewritten(url, put)


def _split_jdbc(url: str) -> tuple[str, str]:
    match = _JDBC_PASSWORD.search(url)
    if match is None:
        return url, ""
    return _JDBC_PASSWORD.sub("", url), match["value"].strip()
