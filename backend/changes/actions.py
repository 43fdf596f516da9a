"""The actions that a policy may put under approval; each domain brings its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backend.changes.schemas import Preview
from backend.core import choices
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession


@dataclass(frozen=True)
class End:
    """How the work of a change ended. status: succeeded, failed or unknown. detail: why."""

    status: str
    detail: str = ""


@dataclass(frozen=True)
class Begun:
    """What carrying out gave. run_id: of the run it began. end: when it is known by then."""

    run_id: str = ""
    end: End | None = None


class CarryOut(Protocol):
    """Calls the service with the frozen parameters; it must come past `gate.check`."""

    def __call__(
        self, database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
    ) -> Begun: ...


class Previewing(Protocol):
    """What CarryOut would do now, read as this actor; changes nothing."""

    def __call__(
        self, database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
    ) -> Preview | None: ...


def _nothing_more(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> None:
    del database, actor, environment, parameters


@dataclass(frozen=True)
class Action:
    """name: `domain.verb`. permission: to ask for it and to approve it. unit: what its size counts
    ("users"), "" when it has none. rewrites: it changes other people's data, so production starts
    with an approval. ended: how the run that was begun ended, None while it lasts. preview: what
    its page shows before it is asked for, by default nothing beyond the request's own fields."""

    name: str
    label: str
    permission: Permission
    carry_out: CarryOut
    unit: str = ""
    rewrites: bool = False
    ended: Callable[[ReadSession, str], End | None] = lambda _session, _run_id: End("succeeded")
    preview: Previewing = _nothing_more


_provided: Callable[[], Mapping[str, Action]] | None = None


def provide(actions: Callable[[], Mapping[str, Action]]) -> None:
    """Where the actions come from; asked at each use."""
    global _provided
    _provided = actions


def everything() -> Mapping[str, Action]:
    """Every action by name."""
    if _provided is None:
        raise RuntimeError("no actions: call backend.composition.install() first")
    return _provided()


def get(name: str) -> Action:
    """Raises UnknownChoice naming those that exist."""
    known = everything()
    choices.check("action", name, sorted(known))
    return known[name]
