"""Secrets taken out of what is stored and shown: by the name of their field, or by their look."""

import functools
import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

_NAMES = re.compile(
    r"passw|secret|token|api_?key|access_?key|authorization|cookie|credential|private_?key|jwt",
    re.IGNORECASE,
)
#: Words of which one is in every text that the pattern fits, in small letters: most texts hold
#: none, and a pattern is forty times as slow as the look for a word.
_LOOKS = (
    (
        ("bearer", "basic"),
        re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE),
        r"\1 " + MASK,
    ),
    (("eyj",), re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}\.?[A-Za-z0-9_-]*"), MASK),
    (
        ("://",),
        re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s@/]+@", re.IGNORECASE),
        rf"\1:{MASK}@",
    ),
    (("gaaaaa",), re.compile(r"\bgAAAAA[A-Za-z0-9_=-]{10,}"), MASK),
    (
        ("passw", "pwd", "secret", "token", "access_key"),
        re.compile(
            r"((?:password|passwd|pwd|secret|token|access_key|secret_ref)[\"']?\s*[=:]\s*[\"']?)"
            r"(?!\*\*\*)[^\s\"',;&}]+",
            re.IGNORECASE,
        ),
        r"\1" + MASK,
    ),
)


@functools.lru_cache(maxsize=1024)
def names_secret(key: str) -> bool:
    """Whether a field of this name holds a secret."""
    return bool(_NAMES.search(key))


def mask_text(text: str) -> str:
    """`text` without anything that looks like a credential."""
    lowered = text.casefold()
    for words, pattern, replacement in _LOOKS:
        if any(word in lowered for word in words):
            text = pattern.sub(replacement, text)
    return text


def mask(value: Any, key: str = "") -> Any:
    """A copy of a JSON-like value with secrets replaced by `***`."""
    if value and not isinstance(value, bool) and names_secret(key):
        return MASK
    if isinstance(value, Mapping):
        return {k: mask(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(item) for item in value]
    return mask_text(value) if isinstance(value, str) else value
