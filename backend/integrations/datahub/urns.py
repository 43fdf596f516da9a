"""DataHub's names: taking URNs apart and addressing an entity's page, without the SDK."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from backend.core.errors import InvalidInput

_MAX_LENGTH = 512  # DataHub's own limit, counted after percent-encoding

# What DataHub's UrnEncoder escapes inside a part: comma, parentheses and its own separator.
_ESCAPED = re.compile("%2C|%28|%29|%E2%90%9F", re.IGNORECASE)

# Where the UI's path differs from the entity type.
_UI_PATHS = {
    "dataJob": "tasks",
    "dataFlow": "pipelines",
    "corpuser": "user",
    "corpGroup": "group",
}


@dataclass(frozen=True)
class DatasetUrn:
    platform: str
    name: str
    origin: str


@dataclass(frozen=True)
class DataJobUrn:
    flow: str
    job_id: str


def entity_type(urn: str) -> str:
    """The word after `urn:li:`. Raises InvalidInput when it is no DataHub URN at all."""
    return _split(urn)[0]


def key_parts(urn: str) -> tuple[str, ...]:
    """The parts of the URN's key: one, or those inside its outer parentheses."""
    return _split(urn)[1]


def is_valid(urn: str) -> bool:
    try:
        _split(urn)
    except InvalidInput:
        return False
    return True


def parse_dataset(urn: str) -> DatasetUrn:
    """Platform ("postgres"), name and origin ("PROD"); InvalidInput when it is no dataset URN."""
    kind, parts = _split(urn)
    if kind != "dataset" or len(parts) != 3:
        raise InvalidInput(
            f"{urn!r} is not a dataset URN. It has the form "
            "urn:li:dataset:(urn:li:dataPlatform:<platform>,<name>,<PROD or another origin>)."
        )
    platform, name, origin = parts
    prefix = "urn:li:dataPlatform:"
    if not platform.startswith(prefix) or platform == prefix:
        raise InvalidInput(
            f"{urn!r} names no data platform: its first part must be {prefix}<name>."
        )
    return DatasetUrn(platform.removeprefix(prefix), decoded(name), origin)


def parse_data_job(urn: str) -> DataJobUrn:
    """The flow's URN and the job's id; InvalidInput when it is no data job URN."""
    kind, parts = _split(urn)
    if kind != "dataJob" or len(parts) != 2 or not parts[0].startswith("urn:li:dataFlow:"):
        raise InvalidInput(
            f"{urn!r} is not a data job URN. It has the form "
            "urn:li:dataJob:(urn:li:dataFlow:(<orchestrator>,<flow>,<cluster>),<job id>)."
        )
    return DataJobUrn(parts[0], parts[1])


def ui_url(frontend_url: str, urn: str) -> str:
    """The page of this entity in DataHub's UI."""
    kind = entity_type(urn)
    return f"{frontend_url.rstrip('/')}/{_UI_PATHS.get(kind, kind)}/{quote(urn, safe='')}/"


def decoded(name: str) -> str:
    """A part without DataHub's own escapes (its UrnEncoder's); another %20 is part of it."""
    return _ESCAPED.sub(lambda found: unquote(found[0]), name)


def _split(urn: str) -> tuple[str, tuple[str, ...]]:
    refused = InvalidInput(f"{urn!r} is not a DataHub URN (urn:li:<type>:<key>).")
    pieces = urn.split(":", 3)
    if len(pieces) != 4 or pieces[:2] != ["urn", "li"] or not pieces[2] or not pieces[3]:
        raise refused
    # Space and control characters are legal to DataHub's parser, but only ever typing mistakes.
    # Asked first: lone surrogates are not printable, and quote() cannot take them.
    if not urn.isprintable() or urn != urn.strip() or len(quote(urn)) > _MAX_LENGTH:
        raise refused
    key = pieces[3]
    parts = _tuple_parts(key) if key.startswith("(") else (key,)
    if parts is None or not all(parts):
        raise refused
    return pieces[2], parts


def _tuple_parts(key: str) -> tuple[str, ...] | None:
    """Split `(a,(b,c),d)` at the commas of its outer level; None when it is not balanced."""
    if not key.endswith(")"):
        return None
    parts, depth, start = [], 0, 1
    for position, letter in enumerate(key):
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0 and position != len(key) - 1:
                return None
        elif letter == "," and depth == 1:
            parts.append(key[start:position])
            start = position + 1
    if depth != 0:
        return None
    return (*parts, key[start:-1])
