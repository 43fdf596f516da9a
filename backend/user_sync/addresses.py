"""When two e-mail addresses are one, and what nobody sees in a text. Pure."""

import contextlib
import unicodedata


def address_key(email: str) -> str:
    """What addresses are compared by: besides case, whatever the Unicode form, invisible
    characters, and whether the host is written in letters or in IDNA's `xn--`."""
    key = email.strip().lower()
    if key.isascii() and "xn--" not in key:
        return key
    seen = "".join(c for c in key if unicodedata.category(c) != "Cf")
    key = unicodedata.normalize("NFC", seen.strip()).lower()
    local, at, host = key.rpartition("@")
    return f"{local}{at}{'.'.join(_letters(label) for label in host.split('.'))}"


def _letters(label: str) -> str:
    """A label of a host in letters. Not every one that is in use obeys IDNA (emoji, `_`)."""
    if label.startswith("xn--"):
        with contextlib.suppress(UnicodeError):
            found = unicodedata.normalize("NFC", label[4:].encode().decode("punycode")).lower()
            return label if found.isascii() else found
    return label


def hidden(text: str) -> str:
    """The invisible characters and odd blanks of a text by number, "" when it has none."""
    found = {c for c in text if unicodedata.category(c) == "Cf" or (c != " " and c.isspace())}
    return ", ".join(sorted(f"U+{ord(c):04X}" for c in found))


def skeleton(email: str) -> str:
    """An address as a careless eye sees it: without accents, marks, blanks and case."""
    plain = unicodedata.normalize("NFKD", email)
    return "".join(c for c in plain.casefold() if c.isalnum() or c == "@")


def looks_alike(old: str, new: str) -> bool:
    """Differs only in white space, invisible characters or Unicode form."""
    return _appearance(old) == _appearance(new)


def _appearance(text: str) -> str:
    visible = "".join(
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf"
    )
    return " ".join(visible.split())
