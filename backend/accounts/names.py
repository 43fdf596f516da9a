"""Names of accounts and tokens, and how they are compared."""

import unicodedata

from backend.core.access import Role
from backend.core.errors import InvalidInput

MAX_NAME = 150


def checked_name(name: str) -> str:
    """The name, trimmed and NFKC; raises InvalidInput when it is empty, too long or not printable.

    Control characters are refused so that a name can never forge a line in a log or a CSV file.
    """
    name = unicodedata.normalize("NFKC", name).strip()
    if not name or len(name) > MAX_NAME:
        raise InvalidInput(f"A name has 1 to {MAX_NAME} characters.")
    if not name_key(name):  # also when folding the case makes it too long
        raise InvalidInput("A name may hold printable characters only.")
    return name


def name_key(name: str) -> str:
    """The form in which two names are the same person's; "" for what can be nobody's name."""
    if len(name) > 4 * MAX_NAME:
        return ""
    key = unicodedata.normalize("NFKC", name).strip().casefold()
    return key if len(key) <= MAX_NAME and key.isprintable() else ""


def checked_role(role: Role | str) -> Role:
    """The role; raises InvalidInput naming the roles there are."""
    try:
        return Role(role)
    except ValueError as exc:
        known = ", ".join(r.value for r in Role)
        raise InvalidInput(f"There is no role {role!r}. Roles are: {known}.") from exc
