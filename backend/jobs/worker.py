"""Start and stop the threads that run jobs, in the app's process or in a worker of its own."""

import signal
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field

import dramatiq

from backend.core import last_resort, signals, tracing
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.core.log import get_logger
from backend.jobs import broker, recovery, registry, runner
from backend.jobs.schedule import Scheduler

log = get_logger(__name__)

#: How long a stop waits for running jobs to reach a safe point, of all threads together.
JOIN_SECONDS = 8.0
#: How often a worker that waits for its broker looks whether it is to end.
_LOOK_SECONDS = 0.2


@dataclass
class Running:
    """What `start` started."""

    scheduler: Scheduler
    workers: list[dramatiq.Worker] = field(default_factory=list)

    def consume(self, *queues: str) -> None:
        """Run these queues' jobs, too."""
        self.workers.append(broker.consume(queues))

    def take_sandbox_jobs(self, *, leads: bool) -> None:
        """Only the portal's process reaches the sandbox, and has the portal's data folder.

        leads: the sandbox runs, so the schedule, which asks it too, is kept here as well.
        """
        self.scheduler.hosts_sandbox = leads
        self.consume(broker.SANDBOX)

    def stop(self) -> None:
        """Let running jobs reach their next safe point, then end.

        One that reaches none in JOIN_SECONDS is left to its thread, which ends with the process;
        it is taken back as that of a process that died.
        """
        runner.stopping.set()
        until = time.monotonic() + JOIN_SECONDS
        self.scheduler.stop()
        for worker in self.workers:
            # dramatiq waits that long for its jobs, and as long again for its connections.
            worker.stop(timeout=max(0, int((until - time.monotonic()) * 1_000)))


def start(database: Database, *, queues: Collection[str]) -> Running:
    """Start the scheduler, and threads for the jobs of these queues."""
    runner.stopping.clear()
    registry.load_all()
    recovery.recover(database, at_start=True)
    running = Running(Scheduler(database))
    if queues:
        running.consume(*queues)
    running.scheduler.start()
    return running


def serve(database: Database) -> None:
    """A worker process: run jobs until SIGINT or SIGTERM.

    Raises InvalidInput without PORTAL_BROKER_URL: nobody could send this process anything.
    """
    if not broker.is_remote():
        raise InvalidInput("Set PORTAL_BROKER_URL; without it the portal runs its own jobs.")
    tracing.configure()
    done = threading.Event()
    signals.call_on((signal.SIGINT, signal.SIGTERM), done.set)
    running = start(database, queues=[broker.JOBS])
    while not (reached := broker.wait_until_reached(_LOOK_SECONDS)) and not done.is_set():
        pass  # what is in the way is said by the broker
    if reached:
        log.info("Worker is ready.", worker=runner.worker_name())
    done.wait()
    log.info("Worker stops; running jobs reach their next safe point.")
    last_resort.end_at_the_latest()
    running.stop()
