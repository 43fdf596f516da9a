"""What services hand out: the same frozen model for page, command line and REST."""

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from backend.core import clock

T = TypeVar("T")
Item = TypeVar("Item")
Shape = TypeVar("Shape")


def of_row(kind: type[T], row: object, /, **more: Any) -> T:
    """A dataclass or model made of the attributes of `row` that bear its fields' names, and of
    `more`."""
    made: Callable[..., T] = kind
    names = _fields(made) - more.keys()
    return made(**{name: getattr(row, name) for name in names if hasattr(row, name)}, **more)


@functools.cache
def _fields(kind: Any) -> frozenset[str]:
    if issubclass(kind, BaseModel):
        return frozenset(kind.model_fields)
    return frozenset(field.name for field in dataclasses.fields(kind))


def document(shape: type[Shape], source: object, /, **more: Any) -> Shape:
    """The JSON document with the keys of `shape`, a TypedDict: from the attributes of `source` that
    bear their names (in snake case), and from `more`. Times are text, tuples lists."""
    found = {
        key: more[key] if key in more else _plain(getattr(source, _UPPER.sub(r"_\1", key).lower()))
        for key in shape.__annotations__
    }
    return cast(Shape, found)


_UPPER = re.compile(r"([A-Z])")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return clock.iso(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.document() if hasattr(value, "document") else value


class View(BaseModel):
    """Made from keywords or, with `model_validate`, from a row. `model_dump(mode="json")` is its
    JSON document: times in UTC with a Z."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Page(View, Generic[Item]):
    """Some of a list. next_cursor: pass as `cursor` for those after them, None at the end."""

    items: list[Item]
    next_cursor: int | None = None

    @classmethod
    def newest(cls, found: Sequence[Item], limit: int) -> Self:
        """Of at most limit + 1 rows by falling `id`."""
        last: Any = found[limit - 1] if len(found) > limit else None
        return cls(items=list(found[:limit]), next_cursor=last and last.id)


class Document(View):
    """An answer that may carry more keys than are named here."""

    model_config = ConfigDict(extra="allow")
