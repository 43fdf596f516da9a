"""Which texts of either side can be kept and written, in which words the others are refused, and
how two texts are shown side by side: what differs and nobody sees is written out."""

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import takewhile

from backend.core.database import UNSTORABLE
from backend.integrations.openmetadata.schemas import StoredUser

MAX_PAGE = 1_000
MAX_NAME = 10_000
MAX_EMAIL = 320
MAX_DOMAIN = 256
_FINELY_COMPARED = 400
#: Control characters and lone surrogates: no database and no person can do anything with them.
UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def why_invalid(item: Mapping[str, object]) -> str:
    email = item.get("email")
    if not isinstance(email, str) or not email.strip():
        return "the directory gives no e-mail"
    for label, value, most in (
        ("e-mail", email, MAX_EMAIL),
        ("display name", item.get("displayName"), MAX_NAME),
        *(("domain", domain, MAX_DOMAIN) for domain in _domains(item)),
    ):
        if value is None:
            continue
        if not isinstance(value, str):
            return f"the {label} is not text"
        if len(value) > most:
            return f"the {label} is longer than {most} characters"
        if UNFIT.search(value):
            return f"the {label} holds control characters"
    return "the e-mail is no address"


def _domains(item: Mapping[str, object]) -> list[object]:
    said = item.get("domains") or item.get("domain")
    return list(said) if isinstance(said, list | tuple) else [said]


def why_unfit(user: StoredUser) -> str:
    """Why the before-image of a user cannot be kept, so that nothing may be written; or ""."""
    if len(user.id) > 64 or len(user.name) > 256:
        return f"OpenMetadata's name or id of the user {user.name[:256]} is too long"
    for label, text in (("name", user.name), ("display name", user.display_name)):
        # Printable text is by far the usual case and the cheaper question.
        if text and not text.isprintable() and UNSTORABLE.search(text):
            return (
                f"the {label} that OpenMetadata holds for {user.name} has characters that no "
                "database stores; correct it there"
            )
    return ""


def shown(value: object, most: int) -> str:
    """Anything as text to be stored and shown."""
    return UNFIT.sub("\N{REPLACEMENT CHARACTER}", str(value))[:most]


def segments(old: str, new: str) -> Iterator[tuple[bool, str, str]]:
    """(same, part of old, part of new) from left to right, all of it made visible.

    Of long texts only the beginning and the end that both have count as the same: the matcher may
    take the cube of the length.
    """
    for same, before, after in _parts(old, new):
        yield same, visible(before, spaces=not same), visible(after, spaces=not same)


def _parts(old: str, new: str) -> Iterator[tuple[bool, str, str]]:
    if max(len(old), len(new)) <= _FINELY_COMPARED:
        matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
        found = [
            (op[0] == "equal", old[op[1] : op[2]], new[op[3] : op[4]])
            for op in matcher.get_opcodes()
        ]
        yield from _at_words(found)
        return
    head = _common_start(old, new)
    old, new = old[len(head) :], new[len(head) :]
    tail = _common_start(old[::-1], new[::-1])[::-1]
    yield True, head, head
    yield False, old.removesuffix(tail), new.removesuffix(tail)
    yield True, tail, tail


def _at_words(parts: list[tuple[bool, str, str]]) -> list[tuple[bool, str, str]]:
    """What only one side has between two equal parts begins or ends at a blank where it can: of
    "Anna Kay" and "Anna Maria Kay" that is " Maria", not "a Mari"."""
    for place in range(1, len(parts) - 1):
        (_, head, _), (_, before, after), (_, tail, _) = parts[place - 1 : place + 2]
        more = before or after
        if before and after:
            continue
        common = len(_common_start(more + tail, tail))
        for step in range(common + 1):
            moved = (more + tail)[step : step + len(more)]
            if moved[0].isspace() or moved[-1].isspace():
                head, tail = head + (more + tail)[:step], tail[step:]
                parts[place - 1] = (True, head, head)
                parts[place] = (False, moved if before else "", moved if after else "")
                parts[place + 1] = (True, tail, tail)
                break
    return parts


def _common_start(one: str, other: str) -> str:
    return "".join(
        a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    )


def written_out(old: str, new: str) -> tuple[str, str]:
    """Both names, their different parts with every character a person cannot see written out."""
    parts = list(segments(old, new))
    return "".join(part[1] for part in parts), "".join(part[2] for part in parts)


def side_by_side(old: str, new: str, *, alike: bool) -> tuple[str, str]:
    """Both texts as a person is shown them; where they look alike, what differs is written out."""
    return written_out(old, new) if alike else (marked(old), marked(new))


def marked(text: str) -> str:
    """As `visible`, with the blanks that nobody sees: at either end, and two or more together."""
    parts = re.split(r"(^\s+|\s+$|\s{2,})", text)
    return "".join(visible(part, spaces=bool(n % 2)) for n, part in enumerate(parts))


def visible(text: str, *, spaces: bool = False) -> str:
    """Invisible and combining characters as their code points; with `spaces`, blanks too."""
    shown = []
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cf", "Cc", "Zl", "Zp") or (category == "Mn" and spaces):
            shown.append(f"⟨U+{ord(character):04X}⟩")
        elif category == "Zs" and spaces:
            shown.append("␣" if character == " " else f"⟨U+{ord(character):04X}⟩")
        else:
            shown.append(character)
    return "".join(shown)
