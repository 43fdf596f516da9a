"""What services hand out: the same frozen model for page, command line and REST."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
Item = TypeVar("Item")


def of_row(kind: type[T], row: object, /, **more: Any) -> T:
    """A dataclass made of the attributes of `row` that bear its fields' names, and of `more`."""
    names = _fields(kind) - more.keys()
    return kind(**{name: getattr(row, name) for name in names if hasattr(row, name)}, **more)


@functools.cache
def _fields(kind: "type[DataclassInstance]") -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(kind))


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
