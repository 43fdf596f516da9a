"""Makes a plan: both sides are fetched at once, matched page by page, and stored meanwhile."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from backend.connections import resolve
from backend.connections.schemas import ConnectionConfig
from backend.core import audit, clock
from backend.core.access import Actor
from backend.core.database import Database, storable
from backend.core.errors import PortalError
from backend.core.log import get_logger
from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.integrations.openmetadata.schemas import Domain, DomainRef, UserPage
from backend.jobs.errors import JobInterrupted, JobLost
from backend.user_sync import (
    domain_map,
    repository,
    row_repository,
    rules_repository,
    sources,
)
from backend.user_sync.comparing import Ignores, PlanRow, domain_identity
from backend.user_sync.domain_names import Rules
from backend.user_sync.errors import FewMatched, ShortAnswer
from backend.user_sync.fields import ATTRIBUTES, chosen
from backend.user_sync.matching import Matcher, change_line, changes_digest
from backend.user_sync.schemas import KINDS, PlanView, SettingsView

log = get_logger(__name__)

#: Users listed before they are compared, such as while the directory is still answering.
USERS_AHEAD = 50_000
MOST_OBSERVED = 10_000


class Control(Protocol):
    """How long work reports and is stopped; a JobContext is one."""

    def progress(self, done: int, total: int | None = None, *, note: str = "") -> None: ...

    def check_cancelled(self) -> None: ...


class Silent:
    """A Control for callers who neither watch nor stop."""

    def progress(self, done: int, total: int | None = None, *, note: str = "") -> None:
        """Nobody watches."""

    def check_cancelled(self) -> None:
        """Nobody stops it."""


@dataclass(frozen=True)
class Sides:
    """What planning needs to know about its environment."""

    environment_id: int
    openmetadata: ConnectionConfig
    directory: ConnectionConfig
    settings: SettingsView
    ignores: Ignores
    last_share: float | None
    rules: Rules


def run(
    database: Database,
    actor: Actor,
    plan_id: int,
    control: Control,
    *,
    accept_short: bool = False,
) -> PlanView:
    """Fill a plan that was created in the state `planning`.

    A failure of either side, a short directory answer or a cancellation leaves the plan failed
    with the reason, and is raised. May be run again after a crash: it starts from the beginning.
    """
    try:
        sides = _prepare(database, plan_id)
        tally = _fill(database, plan_id, sides, control, accept_short=accept_short)
    except (JobLost, JobInterrupted):
        raise  # somebody else goes on with it, or will
    except PortalError as exc:
        _give_up(database, plan_id, exc.message)
        raise
    except Exception:
        _give_up(database, plan_id, "Something went wrong; the log has it.")
        raise
    return _finish(database, actor, plan_id, sides, tally)


def _prepare(database: Database, plan_id: int) -> Sides:
    row_repository.drop_rows(database, plan_id)
    with database.read() as session:
        plan = repository.get_plan(session, plan_id)
        name, key = plan.environment, plan.environment_id
        view = rules_repository.settings_view(session, key, name)
        return Sides(
            environment_id=key,
            rules=Rules(
                view.settings.domain_mode,
                domain_map.mapping(session, key),
                chosen(view.settings.attributes),
            ),
            openmetadata=resolve.connection(session, kind="openmetadata", environment=name),
            directory=resolve.connection(session, kind="directory", environment=name),
            settings=view,
            ignores=rules_repository.ignores(session, key),
            last_share=repository.last_matched_share(session, key, plan.host_port),
        )


def _fill(
    database: Database, plan_id: int, sides: Sides, control: Control, *, accept_short: bool
) -> "Tally":
    control.progress(0, None, note="Asking the directory and OpenMetadata.")
    options = sides.settings.settings
    with (
        sources.gateway_for(
            sides.openmetadata,
            timeout=options.timeout,
            texts=[text.name for text in sides.rules.texts],
        ) as gateway,
        Listing(gateway, options.page_size) as listing,
    ):
        items = sources.client(database, sides.directory).users(
            lambda seen: control.progress(
                0, None, note=f"The directory named {seen:,} people so far."
            )
        )
        check_length(len(items), sides.settings, accept_short=accept_short)
        matcher = Matcher(items, listing.domains(), sides.ignores, sides.rules)
        store = _Store(database, plan_id)
        tally = Tally(version=listing.version(), directory=len(items))
        store.add(matcher.first(), tally)
        started = time.monotonic()
        for page in listing.pages():
            tally.listed += len(page.users) + page.unreadable
            # What is stored together is matched together: the gap that other writers are left
            # between two transactions is spent on matching, not slept through.
            for start in range(0, len(page.users), row_repository.STORED_TOGETHER):
                some = page.users[start : start + row_repository.STORED_TOGETHER]
                store.add(matcher.feed(some), tally)
            speed = tally.listed / max(0.001, time.monotonic() - started)
            note = f"Comparing users, {speed:,.0f} a second."
            control.progress(tally.listed, page.total, note=note)
        store.add(matcher.rest(), tally)
        store.flush()
        store.correct(matcher.again(), tally)
        if not accept_short:
            check_matched(matcher.matched, len(items), sides.last_share, sides.settings)
        observed, counts = matcher.observations(MOST_OBSERVED)
        store.observe(observed)
        tally.fields.update(counts)
        tally.matched, tally.outdated = matcher.matched, matcher.outdated
        return tally


def check_length(count: int, view: SettingsView, *, accept_short: bool) -> None:
    """Raises ShortAnswer when the directory named far fewer people than the last time."""
    last, share = view.last_good_count, view.settings.min_share
    if last and count < last * share and not accept_short:
        raise ShortAnswer(count, last, share)


def check_matched(matched: int, people: int, last_share: float | None, view: SettingsView) -> None:
    """Raises FewMatched when nobody, or a far smaller share than in the last plan, was found.

    last_share: matched by people of the last plan, None without one.
    """
    share = view.settings.min_share
    fewer = last_share is not None and matched < people * last_share * share
    if share and (matched == 0 or fewer):
        raise FewMatched(matched, people, last_share, share)


@dataclass
class Tally:
    """Counts of a plan, and what its digest is made of."""

    version: str = ""
    directory: int = 0
    listed: int = 0
    matched: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    domains: set[str] = field(default_factory=set)
    outdated: list[tuple[str, str, str]] = field(default_factory=list)
    _changes: dict[int, str] = field(default_factory=dict)
    _seen: dict[int, tuple[DomainRef, ...]] = field(default_factory=dict)

    def add(self, row: PlanRow, sign: int = 1) -> None:
        self.kinds[row.kind] += sign
        self._name(row.new_domains)
        if row.domain and not row.new_domains:
            self.domains.add(row.domain.strip())
        if row.applicable:
            self._change(row, sign)

    def _name(self, refs: tuple[DomainRef, ...]) -> None:
        """Remember the names for the filter; lists are shared, so few are looked at."""
        if id(refs) not in self._seen:
            self._seen[id(refs)] = refs
            self.domains.update(storable(ref.fqn) for ref in refs)

    def _change(self, row: PlanRow, sign: int) -> None:
        user = row.user
        assert user is not None  # noqa: S101 - only rows with a user set anything
        self._name(user.domains)
        old, new = set(domain_identity(user.domains)), set(domain_identity(row.new_domains))
        self.fields["users"] += sign
        changes = row.changes
        for name in ATTRIBUTES:
            self.fields[name] += sign * (name in changes)
        self.fields["domains_added"] += sign * bool(row.sets_domains and new - old)
        self.fields["domains_removed"] += sign * bool(row.sets_domains and old - new)
        self.fields["look_alike"] += sign * row.look_alike
        if sign > 0:
            wanted = row.new_name if row.sets_name else None
            self._changes[row.position] = change_line(user.id, user.version, wanted, new, row.texts)
        else:
            self._changes.pop(row.position, None)

    def digest(self) -> str:
        """Identifies exactly these changes."""
        return changes_digest(self._changes[position] for position in sorted(self._changes))

    def kind_counts(self) -> dict[str, int]:
        return {kind: self.kinds[kind] for kind in KINDS}


class _Store:
    """Stores rows in short units of work while the next pages are on their way."""

    def __init__(self, database: Database, plan_id: int) -> None:
        self._rows = row_repository.RowStore(database, plan_id)
        self._waiting: list[PlanRow] = []

    def add(self, rows: list[PlanRow], tally: Tally) -> None:
        for row in rows:
            tally.add(row)
        self._waiting.extend(rows)
        if len(self._waiting) >= row_repository.STORED_TOGETHER:
            self.flush()

    def observe(self, rows: list[PlanRow]) -> None:
        """Rows to look at only: they count among no kind of directory user."""
        self._waiting.extend(rows)
        self.flush()

    def flush(self) -> None:
        self._rows.add(self._waiting)
        self._waiting = []

    def correct(self, pairs: list[tuple[PlanRow, PlanRow]], tally: Tally) -> None:
        for old, new in pairs:
            tally.add(old, -1)
            tally.add(new)
        self._rows.replace([new for _, new in pairs])


class Listing:
    """OpenMetadata's version, domains and users, fetched in a thread a few pages ahead.

    An error of the thread is raised by the method whose answer it prevents.
    """

    def __init__(self, gateway: OpenMetadataGateway, page_size: int) -> None:
        self._gateway = gateway
        self._page_size = page_size
        self._queue: queue.Queue[object] = queue.Queue(max(2, USERS_AHEAD // page_size))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fetch, name="user-listing", daemon=True)

    def __enter__(self) -> "Listing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            # The thread may wait for room in the queue, or for an answer that has a deadline.
            with_room = self._drain()
            self._thread.join(timeout=0.05 if with_room else 0.2)

    def version(self) -> str:
        return self._gateway.version().text

    def domains(self) -> list[Domain]:
        found = self._next()
        assert isinstance(found, list)  # noqa: S101 - the thread's first answer
        return found

    def pages(self) -> Iterator[UserPage]:
        while True:
            page = self._next()
            if page is None:
                return
            assert isinstance(page, UserPage)  # noqa: S101 - what follows the domains
            yield page

    def _next(self) -> object:
        found = self._queue.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def _fetch(self) -> None:
        try:
            self._gateway.supported_version()
            self._put(self._gateway.domains())
            for page in self._gateway.users(self._page_size):
                if self._stop.is_set():
                    return
                self._put(page)
            self._put(None)
        except BaseException as exc:
            self._put(exc)  # raised again where the answer is awaited

    def _put(self, found: object) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(found, timeout=0.1)
            except queue.Full:
                continue

    def _drain(self) -> bool:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return False
        return True


def _finish(database: Database, actor: Actor, plan_id: int, sides: Sides, tally: Tally) -> PlanView:
    now = clock.now()
    digest = tally.digest()  # of a million changes: nobody shall wait for it
    rules_repository.drop_outdated(database, sides.environment_id, tally.outdated)
    with database.write() as session:
        plan = repository.get_plan(session, plan_id, lock=True)
        plan.state, plan.ready_at, plan.error = "ready", now, None
        plan.expires_at = now + timedelta(hours=sides.settings.settings.expires_hours)
        plan.host_port = sides.openmetadata.settings["host_port"].rstrip("/")
        plan.server_version = tally.version[:40]
        plan.directory_count, plan.listed_count = tally.directory, tally.listed
        plan.matched_count = tally.matched
        plan.kinds, plan.fields = tally.kind_counts(), dict(tally.fields)
        plan.domain_names = sorted(tally.domains)[:1000]
        plan.digest = digest
        rules_repository.record_good_answer(session, plan.environment_id, tally.directory)
        audit.record(
            session,
            actor,
            "user_sync:plan:create",
            subject=f"plan {plan_id} on {plan.environment}",
            outcome="ready",
            details={
                "kinds": plan.kinds,
                "fields": plan.fields,
                "digest": plan.digest,
                "ignores_outdated": len(tally.outdated),
            },
        )
        session.flush()
        return repository.plan_view(session, plan)


def _give_up(database: Database, plan_id: int, why: str) -> None:
    with database.write() as session:
        plan = repository.get_plan(session, plan_id, lock=True)
        plan.state, plan.error = "failed", why
    row_repository.drop_rows(database, plan_id)
    # The caller raises it, too: said once, to the person.
    log.info("A plan could not be made.", plan_id=plan_id, error=why)
