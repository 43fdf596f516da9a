"""The seam between the client and its sources: options in, mapped people out."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from backend.core.errors import InvalidInput
from backend.integrations.directory.errors import MappingFailed, PartialAnswer

PAGE_SIZE = 500
#: A mapping of thirty fields, each made of three, writes a person's values a hundred times.
MOST_COPIES = 10_000
_SIDE_BY_SIDE = frozenset(
    {"multi_select_list", "multi_select_dict", "or_expression", "and_expression", "comparator"}
)


@dataclass(frozen=True)
class Options:
    """How a directory is asked, all of it optional.

    query: a GraphQL document; variables: its fixed variables as JSON. mapping: JMESPath from a
    page's document to people. paging: auto, none, relay or offset. headers: "Name: value" a line.
    """

    query: str = ""
    variables: str = ""
    mapping: str = ""
    paging: str = "auto"
    page_size: int = PAGE_SIZE
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Page:
    """people: mapped; a mapping may leave out some of those that the directory gave, or all. more:
    whether the directory may have another page."""

    people: list[object]
    more: bool


class Source(Protocol):
    """One kind of directory."""

    def pages(self, most: int | None = None) -> Iterator[Page]:
        """The people, mapped, page by page; `most`: the caller wants no more than so many."""
        ...


def headers_of(text: str) -> dict[str, str]:
    """HTTP headers from lines of "Name: value". Raises InvalidInput naming the line alone."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidInput(f"Line {number} of the headers is not “Name: value”.")
        if not value.isascii() or not value.isprintable():
            raise InvalidInput(f"Line {number} of the headers has a value that no header takes.")
        found[name] = value
    return found


def variables_of(text: str) -> dict[str, Any]:
    """Fixed GraphQL variables from JSON. Raises InvalidInput."""
    try:
        found = json.loads(text or "{}")
    except ValueError as exc:
        raise InvalidInput(f"The query's variables are not JSON: {exc}.") from exc
    except RecursionError as exc:
        raise InvalidInput("The query's variables are nested too deeply.") from exc
    if not isinstance(found, dict):
        raise InvalidInput('The query\'s variables must be a JSON object, like {"active": true}.')
    return found


class Mapper:
    """Applies a mapping to each page's document."""

    def __init__(self, expression: str) -> None:
        self._text = expression
        try:
            self._compiled = jmespath.compile(expression)
            copies = _copies(self._compiled.parsed)
        except JMESPathError as exc:
            raise InvalidInput(f"The mapping is no JMESPath expression: {_short(exc)}.") from exc
        except RecursionError as exc:
            raise InvalidInput("The mapping is nested too deeply.") from exc
        if copies > MOST_COPIES:
            raise InvalidInput(
                f"The mapping would write a value {MOST_COPIES:,} times or more. Shorten it."
            )

    def people(self, document: object) -> list[object]:
        """Raises MappingFailed unless a list comes out."""
        try:
            found = self._compiled.search(without_gaps(document))
        except JMESPathError as exc:
            raise MappingFailed(f"the mapping does not fit the answer ({_short(exc)})") from exc
        except RecursionError as exc:
            raise MappingFailed("the mapping is nested too deeply") from exc
        if not isinstance(found, list):
            raise MappingFailed(f"the mapping {self._text[:120]} finds no list in the answer")
        return found

    def given(self, document: object) -> list[object] | None:
        """What the directory gave: the list that the mapping begins with, before it leaves anybody
        out. None where it begins with none (`map(&…, people)`)."""
        found = _first_list(self._compiled.parsed, document)
        return found if isinstance(found, list) else None


def repeated(page: Sequence[object], before: Sequence[object]) -> int | None:
    """How many a page repeats of the one before, whose last entry it was asked to begin with: more
    than that one when somebody came meanwhile. None when it does not go on from there: whoever
    has gone, or changed places, may make another be passed over."""
    for count in range(1, min(len(page), len(before)) + 1):
        if list(page[:count]) == list(before[-count:]):
            return count
    return None


def holds(document: object, found: list[object], depth: int = 6) -> bool:
    """Whether this very list is a part of the document, not one that the mapping made."""
    if document is found:
        return True
    if depth == 0 or not isinstance(document, dict):
        return False
    return any(holds(value, found, depth - 1) for value in document.values())


def _copies(node: Any) -> int:
    """How often an expression may repeat what it is given: `[@, @][] | [@, @][] | …` doubles it at
    each step, and with thirty steps fills any memory. Its text in a text (to_string) doubles the
    backslashes."""
    children = [_copies(child) for child in node["children"] if isinstance(child, dict)]
    kind = node["type"]
    if kind == "function_expression":  # map() repeats for each of what it goes through
        twice = 2 if node["value"] == "to_string" else 1
        return twice * max(1, sum(children), math.prod(children))
    return max(1, sum(children)) if kind in _SIDE_BY_SIDE else math.prod(children)


def _first_list(node: Any, value: object) -> object:
    """What the first projection of an expression (jmespath's parsed nodes) goes through."""
    left, *rest = node["children"] or [None]
    if left is None:
        return None
    found = _first_list(left, value)
    if found is None and node["type"] in ("projection", "filter_projection", "flatten"):
        return TreeInterpreter().visit(left, value)
    if found is None and node["type"] in ("subexpression", "index_expression", "pipe"):
        return _first_list(rest[0], TreeInterpreter().visit(left, value))
    return found


def without_gaps(document: object, depth: int = 5) -> object:
    """The document with {} for each null in a list: a JMESPath projection leaves nulls out, and a
    person who is null would silently be nobody."""
    if depth == 0:
        return document
    if isinstance(document, list):
        return [{} if item is None else without_gaps(item, depth - 1) for item in document]
    if isinstance(document, dict):
        return {
            key: without_gaps(value, depth - 1) if isinstance(value, list | dict) else value
            for key, value in document.items()
        }
    return document


def listed(data: object) -> list[object]:
    """The people of an answer without a mapping: a list, Relay's edges or PostGraphile's nodes,
    under the only field of the answer. Raises PartialAnswer, MappingFailed."""
    if isinstance(data, dict) and "users" in data:
        found: object = data["users"]
    elif isinstance(data, dict) and len(data) == 1:
        found = next(iter(data.values()))
    else:
        found = data
    if isinstance(found, dict) and isinstance(found.get("nodes"), list):
        found = found["nodes"]
    elif isinstance(found, dict) and isinstance(found.get("edges"), list):
        found = [edge.get("node") if isinstance(edge, dict) else edge for edge in found["edges"]]
    if isinstance(found, list):
        return found
    if isinstance(data, dict) and "users" in data:
        raise PartialAnswer("users is not a list")
    raise MappingFailed("without a mapping the answer must hold one list of people")


def _short(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200].rstrip(".")
