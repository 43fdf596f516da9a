"""Counted words in sentences for people."""


def counted(count: int, one: str, many: str = "") -> str:
    """ "1 mount is", "2 mounts are": the number and its words; `many` is `one` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
