"""A face for who did something: initials in a colour of their own, another shape for machines."""

import base64
import zlib

#: Dark enough for white letters (4.5 to 1), on white and on black.
_COLOURS = ("#1558b8", "#0f766e", "#9a3412", "#7c3aed", "#a21caf", "#4d7c0f", "#b91c1c", "#475569")
_ROUND, _ANGULAR = 20, 6


def of(name: str, kind: str) -> str:
    """The picture as a data: address. kind: of the actor; a person's face is round."""
    colour = _COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]
    corner = _ROUND if kind == "user" else _ANGULAR
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">'
        f'<rect width="40" height="40" rx="{corner}" fill="{colour}"/>'
        '<text x="20" y="26" text-anchor="middle" font-family="sans-serif" font-size="16" '
        f'fill="#ffffff">{_initials(name)}</text></svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()}"


def _initials(name: str) -> str:
    """Two letters or digits at most, so nothing that SVG would read as its own."""
    words = ["".join(filter(str.isalnum, word)) for word in name.partition("@")[0].split(".")]
    found = [word for word in " ".join(words).split() if word] or ["?"]
    letters = found[0][0] + (found[-1][0] if len(found) > 1 else found[0][1:2])
    return letters.upper()
