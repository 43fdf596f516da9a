"""`python -m benchmarks.faults bodies`: bodies that do not come, beside good requests at a rate.

Connections send one byte of a body and wait, from strangers and with a good token, while good
requests are asked. Each is a connection of its own, written by hand: a client's library would take
more of the machine than the portal. The same requests go to a bare Starlette route (no check of a
token, no database) in a process of its own, since what a shared machine lets through says nothing
alone; and the processor's time of one request is read from the process itself.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import _load_portal, _servers
from benchmarks._load_size import Size
from tests.fixtures import processes

PATH = "/api/ingestion/runs"  # a read that goes to the state database
BARE = f"""
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def answer(request):
    return JSONResponse({{"items": [], "next_cursor": None}})

app = Starlette(routes=[Route("{PATH}", answer)])
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""
_TICK = os.sysconf("SC_CLK_TCK")


def bodies(*, slow: int, rate: int, seconds: int) -> int:
    """Prints the figures; 1 when a good request was not answered well."""
    with _servers.folder("bodies") as folder, _load_portal.running(folder) as portal:
        tokens = _load_portal.people(Size(1, 400, 0, 0, 0, 0, 0, 0, 0.0, 3.0))[1]
        good = [*tokens["operator"], *tokens["steward"], *tokens["admin"]]
        asked = _Asked(portal.url, portal.process.pid, good, rate, seconds)
        with _bare(folder) as (url, pid):
            floor = asyncio.run(_Asked(url, pid, good, rate, seconds).go("a bare Starlette route"))
        alone = asyncio.run(asked.go("the portal"))
        print(f"  {alone.cpu / floor.cpu:.1f} times the bare route's time of the processor")
        wrong = alone.wrong
        for who, token in (("strangers", ""), ("a good token", tokens["jobs"][0])):
            wrong += asyncio.run(_besieged(asked, who, token, slow)).wrong
        return 1 if wrong else 0


class _Asked:
    """Good requests at a rate, for a while. wrong: how many were not answered well. cpu: ms of
    the processor that one took of the server, all its work counted."""

    wrong, cpu = 0, 0.0

    def __init__(self, url: str, pid: int, tokens: list[str], rate: int, seconds: int) -> None:
        self.url, self._pid, self._tokens = url, pid, tokens
        self._rate, self._seconds = rate, seconds

    async def go(self, what: str) -> "_Asked":
        host, port = _address(self.url)
        await _get(host, port, self._tokens[0])  # the first request loads the API
        begun, before, asked = time.monotonic(), _processor(self._pid), []
        for number in range(self._rate * self._seconds):
            await asyncio.sleep(max(0.0, begun + number / self._rate - time.monotonic()))
            token = self._tokens[number % len(self._tokens)]  # each has a limit of its own
            asked.append(asyncio.create_task(_get(host, port, token)))
        answers = await asyncio.gather(*asked)
        took, times = time.monotonic() - begun, [spent for _, spent in answers]
        self.cpu = (_processor(self._pid) - before) / len(answers) * 1000
        bad = [status for status, _ in answers if status != 200]
        self.wrong = len(bad)
        print(
            f"{what}: {len(answers)} good requests at {self._rate} a second, all answered after "
            f"{took:.1f} s ({len(answers) / took:.0f} a second), median "
            f"{statistics.median(times) * 1000:.0f} ms, most {max(times) * 1000:.0f} ms, "
            f"{self.cpu:.1f} ms of the processor each; not answered well: {len(bad)} "
            f"{sorted(set(bad))}"
        )
        return self


async def _besieged(asked: _Asked, who: str, token: str, slow: int) -> _Asked:
    head = "POST /trigger HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    address = _address(asked.url)
    opened = await asyncio.gather(*(asyncio.open_connection(*address) for _ in range(slow)))
    begun = time.monotonic()
    for _, writer in opened:
        writer.write(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
    ends = [asyncio.create_task(_end(reader, begun)) for reader, _ in opened]
    done = await asked.go(f"the portal beside {slow} slow bodies of {who}")
    print(f"  the slow ones were ended after {max(await asyncio.gather(*ends)):.1f} s at most")
    for _, writer in opened:
        writer.close()
    return done


async def _end(reader: asyncio.StreamReader, begun: float) -> float:
    """Seconds until the portal closed the connection or answered."""
    await reader.read(100)
    return time.monotonic() - begun


async def _get(host: str, port: int, token: str) -> tuple[int, float]:
    """Status (0: the connection was closed without an answer) and seconds."""
    asked = time.monotonic()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    answer = await asyncio.wait_for(reader.read(), 120)
    writer.close()
    return int(answer[9:12] or 0), time.monotonic() - asked


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 80)


def _processor(pid: int) -> float:
    """Seconds of the processor that the process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@contextmanager
def _bare(folder: Path) -> Iterator[tuple[str, int]]:
    port = processes.free_port()
    url = f"http://localhost:{port}"
    process = processes.Process(
        [sys.executable, "-c", BARE, str(port)],
        log=folder / "bare.log", env=dict(os.environ), folder=_servers.ROOT,
    )  # fmt: skip
    try:
        process.wait_until(lambda: _servers.answers(url + PATH), seconds=60)
        yield url, process.pid
    finally:
        process.stop(seconds=20)
