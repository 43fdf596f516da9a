"""Start and stop the threads that run jobs, in the app's process or in a worker of its own."""

import signal
import threading
from dataclasses import dataclass

import dramatiq

from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.core.log import get_logger
from backend.jobs import broker, recovery, registry, runner
from backend.jobs.schedule import Scheduler

log = get_logger(__name__)
THREADS = 4


@dataclass
class Running:
    """What `start` started."""

    worker: dramatiq.Worker | None
    scheduler: Scheduler

    def stop(self) -> None:
        """Let running jobs reach their next safe point, then end."""
        runner.stopping.set()
        self.scheduler.stop()
        if self.worker is not None:
            self.worker.stop(timeout=10_000)


def start(database: Database, *, work: bool) -> Running:
    """Start the scheduler, and the job threads when `work` is set.

    work: True in a worker process and in an app with the in-process broker.
    """
    runner.stopping.clear()
    registry.load_all()
    recovery.recover(database, at_start=True)
    worker = None
    if work:
        worker = dramatiq.Worker(broker.get_broker(), worker_threads=THREADS, worker_timeout=200)
        worker.start()
    scheduler = Scheduler(database)
    scheduler.start()
    return Running(worker, scheduler)


def serve(database: Database) -> None:
    """A worker process: run jobs until SIGINT or SIGTERM.

    Raises InvalidInput without PORTAL_BROKER_URL: nobody could send this process anything.
    """
    if not broker.is_remote():
        raise InvalidInput("Set PORTAL_BROKER_URL; without it the portal runs its own jobs.")
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    running = start(database, work=True)
    log.info("Worker is ready.", worker=runner.worker_name())
    done.wait()
    log.info("Worker stops; running jobs reach their next safe point.")
    running.stop()
