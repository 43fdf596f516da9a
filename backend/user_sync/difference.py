"""Two names side by side, for page and command line: what differs is written out."""

import difflib
import re
import unicodedata
from collections.abc import Iterator


def segments(old: str, new: str) -> Iterator[tuple[bool, str, str]]:
    """(same, part of old, part of new) from left to right, all of it made visible."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        same = tag == "equal"
        yield same, visible(old[a:b], spaces=not same), visible(new[c:d], spaces=not same)


def written_out(old: str, new: str) -> tuple[str, str]:
    """Both names, their different parts with every character a person cannot see written out."""
    parts = list(segments(old, new))
    return "".join(part[1] for part in parts), "".join(part[2] for part in parts)


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
