"""Show that a value is there, and of what kind, without showing the value."""

from backend.tokenization.tokens import PREFIX, SUFFIX, Scheme

_LONGEST_SHOWN = 32
_DOT = "•"


def mask_value(value: str) -> str:
    """Letters and digits become dots; the first one stays when there are more than three."""
    letters = sum(character.isalnum() for character in value)
    shown = 1 if letters > 3 else 0
    masked = []
    for character in value[:_LONGEST_SHOWN]:
        if character.isalnum():
            masked.append(character if shown > 0 else _DOT)
            shown -= 1
        elif character.isprintable() and character.isascii():
            masked.append(character)
        else:
            masked.append(_DOT)
    return "".join(masked) + ("…" if len(value) > _LONGEST_SHOWN else "")


def mask_token(token: str, scheme: Scheme) -> str:
    """A keyed token says nothing about its value and is shown; a reversible one is hidden."""
    if scheme.keyed:
        return token
    return f"{PREFIX}{_DOT * 8}{SUFFIX} ({len(token)} characters)"
