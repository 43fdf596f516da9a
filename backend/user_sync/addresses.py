"""When two e-mail addresses are one, and what nobody sees in a text. Pure."""

import contextlib
import unicodedata

import idna


def address_key(email: str) -> str:
    """What addresses are compared by: besides case, whatever the Unicode form, invisible
    characters, and whether the host is written in letters or in IDNA's `xn--`."""
    key = email.strip().lower()
    if key.isascii() and "xn--" not in key:
        return key
    seen = "".join(c for c in key if unicodedata.category(c) != "Cf")
    key = unicodedata.normalize("NFC", seen.strip()).lower()
    local, at, host = key.rpartition("@")
    if "xn--" in host:
        with contextlib.suppress(UnicodeError):
            host = unicodedata.normalize("NFC", idna.decode(host))
    return f"{local}{at}{host}"


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
