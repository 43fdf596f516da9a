"""Names of accounts and tokens, and how they are compared."""

import re
import unicodedata

from backend.core import choices
from backend.core.access import Role
from backend.core.errors import InvalidInput

MAX_NAME = 150
#: Drawn as nothing, though Python calls them printable (Default_Ignorable of Unicode, the Braille
#: cell without dots): with one of them a name looks like another one's.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_LETTERS = re.compile(r"[^\W\d_]+")
#: Alphabets with letters that look the same.
_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})


def checked_name(name: str) -> str:
    """The name, trimmed and NFKC, without what nobody sees; raises InvalidInput when it is empty,
    too long, not printable, or looks like another one.

    Control characters are refused so that a name can never forge a line in a log or a CSV file.
    """
    name = _UNSEEN.sub("", unicodedata.normalize("NFKC", name)).strip()
    if not name or len(name) > MAX_NAME:
        raise InvalidInput(f"A name has 1 to {MAX_NAME} characters.")
    if not name_key(name):  # also when folding the case makes it too long
        raise InvalidInput("A name may hold printable characters only.")
    if mixes_alphabets(name):
        raise InvalidInput(
            "A word of the name mixes letters of two alphabets, so that it looks like another name."
        )
    return name


def mixes_alphabets(name: str) -> bool:
    """Whether one of its words is spelt in two alphabets, as `аdmin` with a Cyrillic а is."""
    return any(
        len({unicodedata.name(letter, "").partition(" ")[0] for letter in word} & _ALIKE) > 1
        for word in _LETTERS.findall(name)
    )


def name_key(name: str) -> str:
    """The form in which two names are the same person's; "" for what can be nobody's name."""
    if len(name) > 4 * MAX_NAME:
        return ""
    key = unicodedata.normalize("NFKC", name).strip().casefold()
    return key if len(key) <= MAX_NAME and key.isprintable() else ""


def checked_role(role: Role | str) -> Role:
    """The role; raises UnknownChoice naming the roles there are."""
    choices.check("role", role, Role)
    return Role(role)
