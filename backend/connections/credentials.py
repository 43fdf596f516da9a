"""Passwords that people paste inside a URL: taken out to be sealed, put back for the adapter."""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit, urlunsplit

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
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ""
    who, at, where = parts.netloc.rpartition("@")
    user, colon, password = who.partition(":")
    if not at or not colon:
        return url, ""
    return urlunsplit(parts._replace(netloc=f"{user}@{where}")), unquote(password)


def with_password(url: str, password: str | None) -> str:
    """The URL with the password encoded into it; unchanged without a password or a user."""
    parts = urlsplit(url)
    who, at, where = parts.netloc.rpartition("@")
    if not password or not at:
        return url
    user = who.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{where}"))


def _split_jdbc(url: str) -> tuple[str, str]:
    match = _JDBC_PASSWORD.search(url)
    if match is None:
        return url, ""
    return _JDBC_PASSWORD.sub("", url), match["value"].strip()
