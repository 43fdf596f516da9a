"""What the app's process does from start to stop: check, migrate, work, sandbox."""

import asyncio
import contextlib
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

from backend import composition
from backend.core import last_resort, log, private, secret_store, sockets, startup, tracing
from backend.core.database import Database, get_database
from backend.core.errors import PortalError, SettingsError
from backend.core.settings import get_settings

#: Seconds that the first visitor's page has the process to itself, before job threads, schedules
#: and the sandbox load their libraries.
HEAD_START = 2.5
#: How long a busy thread may keep the interpreter from a waiting one. A page reads the database
#: some twenty times and waits after each; Python's 5 ms add up to seconds beside ten busy threads.
SWITCH_SECONDS = 0.0005
#: How long a stop waits for a start that is under way to notice it.
GIVE_UP_SECONDS = 5.0


@contextlib.asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[dict[str, Any] | None]:
    """Refuses to start with one line per problem; everything slow starts behind first paint."""
    held = contextlib.ExitStack()
    try:
        database = await asyncio.to_thread(_open, held)
    except (PortalError, SettingsError) as exc:
        for problem in exc.problems if isinstance(exc, SettingsError) else [exc.message]:
            print(f"The portal does not start. {problem}", file=sys.stderr)  # noqa: T201
        sys.stderr.flush()
        # Raising here would end in the web server's traceback; nothing has been started yet.
        os._exit(1)
    sockets.send_at_once()
    sys.setswitchinterval(SWITCH_SECONDS)
    background = _Background(database)
    background.start()
    try:
        yield None
    finally:
        await asyncio.to_thread(background.stop)
        held.close()


def _open(held: contextlib.ExitStack) -> Database:
    """held: what this process keeps until it ends."""
    settings = get_settings()
    composition.install()
    log.configure(settings.log_level)
    tracing.configure()
    last_resort.begun.set()
    private.umask()
    private.state_folder(settings.data_dir)
    private.require_writable(settings.data_dir)
    with contextlib.suppress(OSError):  # a folder that cannot be used is said by who needs it
        held.enter_context(private.only_portal(settings.data_dir))
    database = get_database()
    startup.prepare(database, secret_store.get_vault())
    from backend.accounts import first_start

    first_start.ensure_first_admin(database, settings)
    return database


class _Background:
    """Job threads and sandbox, started in a thread of their own so that the page is up first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: Any = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._start, name="portal-start", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._ready.wait(timeout=GIVE_UP_SECONDS)
        if self._running is not None:
            self._running.stop()
        from backend.sandbox import control

        control.stop()

    def _start(self) -> None:
        logger = log.get_logger(__name__)
        self._stopping.wait(HEAD_START)
        try:
            if self._stopping.is_set():
                return
            from backend.jobs import broker, worker
            from backend.sandbox import control

            queues = [] if broker.is_remote() else [broker.JOBS]
            self._running = worker.start(self._database, queues=queues)
            self._running.take_sandbox_jobs(leads=control.start(self._database, self._stopping))
        except PortalError as exc:
            logger.error("A background part did not start.", error=exc.message)
        except Exception as exc:
            # The pages still work and say what is missing; the log has the reason.
            log.log_unexpected(logger, "A background part did not start.", exc)
        finally:
            _settle()
            self._ready.set()


def _settle() -> None:
    """Take what is loaded by now out of the garbage collector's sight.

    A full collection would walk every imported library's objects, about 100 ms during which no
    page can run. (.streamlit/config.toml stops Streamlit from making one after each page run.)
    """
    gc.collect()
    gc.freeze()
