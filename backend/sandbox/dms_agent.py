"""DMS servers of the sandbox: agents behind the in-memory transport.

The address itself carries what they do, so every process that uses it (the portal, a command)
has the same agents.
"""

from pathlib import Path

from backend.sandbox.parts import Part

#: Hosts with a DMS server, a host whose server is down, and one that is gone altogether.
HOSTS = tuple(f"compute-{number:02d}" for number in range(1, 9))
IDLE_HOST = "compute-09"
GONE_HOST = "compute-10"
FAILING_TARGET = "nfs-archive-offline"
LATENCY = 0.4


def url() -> str:
    """The address under which the agents answer."""
    options = f"hosts={','.join(HOSTS)}&idle={IDLE_HOST}"
    return f"memory://sandbox?{options}&failing={FAILING_TARGET}&latency={LATENCY}"


def start(_folder: Path) -> Part:
    """Nothing runs until somebody mounts: agents start with the first client of a process."""
    return Part(kind="rabbitmq", settings={"url": url()})
