"""What every command shares: start-up, units of work, output, and how errors end a command.

Exit status 0: done. 1: refused or failed, one clear line on stderr. 2: wrong usage.
"""

import contextlib
import dataclasses
import functools
import getpass
import inspect
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from backend.cli.terminal import Progress, table, watched
from backend.core import access, clock, log, metric_totals, private, reasons, secret_store, startup
from backend.core.access import Actor, Role
from backend.core.database import Database, ReadSession, WriteSession, get_database
from backend.core.errors import InvalidInput, PortalError, SettingsError, UnknownChoice, Waiting
from backend.core.settings import get_settings

P = ParamSpec("P")
T = TypeVar("T")


@dataclasses.dataclass
class _Output:
    """What the running command owes on stdout: one document with --json, also when refused."""

    document_wanted: bool = False
    document_printed: bool = False
    #: --create: the state may be made when there is none.
    create: bool = False


_output = _Output()


def _want_document(value: bool) -> bool:
    _output.document_wanted = value
    return value


Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on stdout.", callback=_want_document),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; do it.")]


Watch = Annotated[
    bool, typer.Option("--watch", help="Draw it again every two seconds until Ctrl-C.")
]
__all__ = ["Progress", "table", "watched"]


def may_wait(command: Callable[P, T]) -> Callable[P, T]:
    """For a command whose action a policy may put under approval: it takes --reason, too."""

    @functools.wraps(command)
    def reasoned(*args: P.args, **kwargs: P.kwargs) -> T:
        with reasons.given(str(kwargs.pop("reason", ""))):
            return command(*args, **kwargs)

    signature = inspect.signature(command)
    option = typer.Option("--reason", help="Why; whoever decides about it sees it.")
    extra = inspect.Parameter(
        "reason", inspect.Parameter.KEYWORD_ONLY, default="", annotation=Annotated[str, option]
    )
    reasoned.__signature__ = signature.replace(  # type: ignore[attr-defined]  # what typer reads
        parameters=[*signature.parameters.values(), extra]
    )
    return reasoned


class Failed(PortalError):
    """The command's document was printed; the exit status is 1 and this is the line on stderr."""


def new_app(help_text: str) -> typer.Typer:
    """A typer app with the house's settings."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,  # the whole line's is added where all groups are known
        rich_markup_mode=None,
    )


@lru_cache(maxsize=1)
def database() -> Database:
    """The state database, migrated and with its secrets checked.

    Raises startup.NoState where there is none, unless the command line said --create.
    """
    settings = get_settings()
    # A refusal is one line on stderr; PORTAL_LOG_LEVEL puts the log beside it.
    log.configure(settings.log_level if "log_level" in settings.model_fields_set else "ERROR")
    opened = get_database()
    if not _output.create:
        startup.require(opened)
    private.state_folder(settings.data_dir)
    startup.prepare(opened, secret_store.get_vault())
    return opened


def actor() -> Actor:
    """The API token of PORTAL_API_TOKEN with its limits; without it an admin, as whoever can run
    commands on this machine is, and the audit log names the login.
    """
    raw = get_settings().api_token.get_secret_value()
    if raw:
        from backend.accounts import api_tokens

        found = database().ask(api_tokens.authenticate, raw, address="command line")
        access.limit_environments(found)
        return found
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = str(os.getuid())
    return Actor(id=0, name=f"cli:{login}", role=Role.ADMIN, kind="cli")


def create() -> tuple[Database, bool]:
    """The state database, made when there is none; whether it was there already."""
    there = startup.exists(get_database())
    _output.create = True
    return database(), there


@contextlib.contextmanager
def unit_read() -> Iterator[tuple[ReadSession, Actor]]:
    who = actor()
    with database().read() as session:
        yield session, who


@contextlib.contextmanager
def unit_write() -> Iterator[tuple[WriteSession, Actor]]:
    """Committed when the block ends."""
    who = actor()
    with database().write() as session:
        yield session, who


def read(
    service: Callable[Concatenate[ReadSession, Actor, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """What a service answers in a unit of work of its own."""
    with unit_read() as (session, who):
        return service(session, who, *args, **kwargs)


def write(
    service: Callable[Concatenate[WriteSession, Actor, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """The same for one that changes something; committed when it returns."""
    with unit_write() as (session, who):
        return service(session, who, *args, **kwargs)


def call(
    service: Callable[Concatenate[Database, Actor, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """The same for one with units of work of its own, between which it asks outside systems."""
    return service(database(), actor(), *args, **kwargs)


def emit(document: Any, as_json: bool, text: str | None = None) -> None:
    """Print the JSON document, or the text for a person."""
    if as_json:
        _output.document_printed = True
        say(json.dumps(document, default=_plain, ensure_ascii=False, indent=2))
    elif text is not None:
        say(text)


def say(text: str, *, nl: bool = True) -> None:
    """Print on stdout. Raises Failed as `printing` does."""
    with printing():
        typer.echo(text, nl=nl)


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """Raises Failed where stdout takes no more, as a file on a full disk."""
    try:
        yield
    except BrokenPipeError:
        raise  # nothing is wrong: `run` ends the command
    except OSError as exc:
        raise Failed(
            f"What the command prints could not be written: {exc.strerror}. "
            "What it changed, if anything, stays changed."
        ) from exc


def refusal(exc: PortalError) -> dict[str, str]:
    """What a refused run's document says beside its own keys, in the words of the REST face."""
    return {"error": type(exc).__name__, "detail": exc.message, "message": exc.message}


def more(next_cursor: int | str | None) -> str:
    """The line below a table that is not the whole list; "" below one that is."""
    return (
        "" if next_cursor is None else f"\nThere are more: --cursor {shlex.quote(str(next_cursor))}"
    )


def read_secret(prompt: str) -> str:
    """One secret from stdin (a pipe) or typed unseen at a terminal; never from an argument."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{prompt}: ")
    value = sys.stdin.readline().rstrip("\r\n")
    if not value:
        raise InvalidInput(f"No {prompt} on stdin: pipe it in, or run this at a terminal.")
    return value


def text_of(file: str) -> str:
    """What the file holds; "-": stdin. Raises InvalidInput."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as exc:
        raise InvalidInput(f"{file} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise InvalidInput(f"{file} is not UTF-8 text. Save it as UTF-8.") from exc


def confirm(question: str, *, yes: bool) -> None:
    """Ask at a terminal; elsewhere --yes is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{question} Nothing was done: add --yes to do it without being asked.")
    if not typer.confirm(question):
        raise Failed("Nothing was done.")


def add_metrics() -> None:
    """Add what this process counted to the figures of /metrics, where it opened the state.

    A command that has done its work is not failed by it: what cannot be added is in the log.
    """
    if not database.cache_info().currsize:
        return
    try:
        metric_totals.add(database())
    except PortalError as exc:
        log.get_logger(__name__).warning("Figures of /metrics were not added.", reason=exc.message)


def run(command: Any) -> int:
    """Run the command line, a click command; returns the exit status.

    What it counted is in /metrics then, as a worker's work is.
    """
    _stand_in_for_closed_streams()
    try:
        return _run(command)
    except BrokenPipeError:  # whoever reads has seen enough
        sys.stderr.close()
        return 1
    finally:
        add_metrics()


def _stand_in_for_closed_streams() -> None:
    """A stream that the caller closed (`>&-`) is one that nobody reads or writes, as /dev/null is.

    Python has None in its place, and the next file that is opened would get its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stand_in = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - for good
            setattr(sys, name, stand_in)


def _run(command: Any) -> int:
    """Its exit status.

    With --json a command that is refused before it has a document of its own prints
    {error, detail}, as the REST face does, besides its line on stderr.
    """
    # Before anything can fail: structlog's own default prints tracebacks with all local values.
    log.configure("ERROR")
    _output.document_wanted = _output.document_printed = False
    # One word for every command, wherever on the line it stands.
    arguments = [word for word in sys.argv[1:] if word != "--create"]
    _output.create = len(arguments) < len(sys.argv) - 1
    try:
        _carried_out(command, arguments)
    except typer.Exit as exc:
        return exc.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _refused("Stopped", "Stopped.")
    except SettingsError as exc:
        return _refused(type(exc).__name__, *exc.problems)
    except UnknownChoice as exc:
        _refused(type(exc).__name__, log.mask_text(exc.message))
        return 2
    except PortalError as exc:
        return _refused(type(exc).__name__, " ".join(log.mask_text(exc.message).split()))
    except BrokenPipeError:
        raise
    except Exception as exc:
        return _other(exc)
    return 0


def _carried_out(command: Any, arguments: list[str]) -> None:
    """Run it; an action that waits for approval is done as far as this command goes."""
    try:
        command.main(arguments, prog_name=program(), standalone_mode=False)
    except Waiting as exc:
        once = {"secret": exc.secret} if exc.secret else {}
        emit({**exc.document, **once}, _output.document_wanted, exc.message)
        if once and not _output.document_wanted:
            typer.echo("Shown only this once; it works when the change is carried out:", err=True)
            say(exc.secret)


def program() -> str:
    """How the command line was called, for its own help and for the shell's completion."""
    own = os.path.basename(sys.argv[0])
    return own if own == "steward" else "python -m backend"


def _refused(error: str, *sentences: str, **more: str) -> int:
    for sentence in sentences:
        typer.echo(sentence, err=True)
    if _output.document_wanted and not _output.document_printed:
        try:
            emit({"error": error, "detail": " ".join(sentences), **more}, as_json=True)
        except Failed as exc:
            typer.echo(exc.message, err=True)
    return 1


#: typer carries its own copy of click, so click's own classes would never match.
_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
_CLICK_ERROR: Any = _USAGE_ERROR.__bases__[0]


def _other(exc: Exception) -> int:
    if isinstance(exc, _CLICK_ERROR):
        exc.show()
        return 2 if isinstance(exc, _USAGE_ERROR) else 1
    reference = log.log_unexpected(log.get_logger(__name__), "A command failed.", exc)
    sentence = f"Something went wrong. The log has it under reference {reference}."
    return _refused("InternalError", sentence, reference=reference)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, datetime):
        return clock.iso(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return str(value)
