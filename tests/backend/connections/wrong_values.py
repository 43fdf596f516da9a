"""A wrong value for every field of every kind, read from the kinds' own definition."""

from backend.connections.fields import Field, Kind


def wrong(field: Field) -> str:
    """What cannot be right in this field: no address, no choice, no number, no JSON, no base64."""
    if field.address is not None:
        return "://"
    # A name or a password takes any text, but none that nobody can see.
    return "{" if field.choices or field.check else "a\x00b"


def typed(kind: Kind) -> tuple[dict[str, str], dict[str, str]]:
    """All settings and all secrets of a kind, each wrong."""
    return (
        {field.name: wrong(field) for field in kind.settings},
        {field.name: wrong(field) for field in kind.secrets},
    )
