"""`python -m benchmarks.faults soak`: one portal for a while.

Signed-in people switch pages over Streamlit's websocket while a program asks the API; memory,
threads and open files of the process are read all the time. The slope is that of a straight line
(least squares) through the second half, so that what is loaded once does not count. It is drawn
through means of a tenth of it each, as readings that follow one another are not independent, and
has its error (95 %): what the line cannot tell for noise or for shortness is not called flat.
"""

import asyncio
import math
import statistics
import time
from collections.abc import Sequence

import httpx

from benchmarks import _load_portal, _servers
from benchmarks._load_people import crowd
from benchmarks._load_portal import Portal
from benchmarks._load_size import Size

EVERY = 2.0
#: Within which a soak counts as flat, per hour: it grows when the slope less its error is more.
FLAT = {"memory": 60.0, "threads": 10.0, "files": 20.0}
#: The largest error of a slope, per hour, that tells anything: people come and go with sockets.
CLEAR = {"memory": 120.0, "threads": 60.0, "files": 120.0}
MEANS = 10
#: Student's t for 95 % and that many means, two of which the line takes.
STUDENT = 2.306


def soak(*, seconds: int, people: int) -> int:
    """Prints the figures; 1 when something grows or somebody lost the portal."""
    with _servers.folder("soak") as folder, _load_portal.running(folder) as portal:
        members, tokens = _load_portal.people(_size(people))
        samples, problems, pages = asyncio.run(
            _soaked(portal, members, tokens["operator"][0], seconds)
        )
        trouble = portal.trouble()
    grows, unclear = [], []
    for name in FLAT:
        values = [figures[name] for _, figures in samples]
        half = samples[len(samples) // 2 :]
        slope, error = _slope([(at, figures[name]) for at, figures in half])
        print(
            f"{name}: {values[0]} at the start, {values[len(values) // 2]} in the middle, "
            f"{values[-1]} at the end, most {max(values)}; {slope:+.1f} ± {error:.1f} an hour"
        )
        grows += [name] if slope - error > FLAT[name] else []
        unclear += [name] if error > CLEAR[name] else []
    print(f"{people} people, {seconds} s, {len(pages)} pages, median {_ms(pages)} ms")
    print(f"lost: {len(problems)}; errors in the log: {len(trouble)}; grows: {grows or 'nothing'}")
    if unclear:
        print(f"too short or too restless to tell: {', '.join(unclear)}")
    for line in [*problems[:3], *trouble[:3]]:
        print(line)
    return 1 if grows or unclear or problems or trouble else 0


async def _soaked(portal: Portal, members: list, token: str, seconds: int) -> tuple:
    stop, samples = asyncio.Event(), []
    people = asyncio.create_task(crowd(portal, members, stop))
    asking = asyncio.create_task(_keep_asking(portal, token, stop))
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        await asyncio.sleep(EVERY)
        samples.append((time.monotonic() - begun, portal.now()))
    stop.set()
    visits, wrong = await people, await asking
    return samples, [*visits.problems, *wrong], visits.all_pages


async def _keep_asking(portal: Portal, token: str, stop: asyncio.Event) -> list[str]:
    """Two requests a second; those that were not answered well."""
    wrong = []
    async with _client(portal, token) as client:
        while not stop.is_set():
            answer = await client.get("/api/jobs")
            wrong += [] if answer.status_code == 200 else [f"/api/jobs: {answer.status_code}"]
            await asyncio.sleep(0.5)
    return wrong


def _slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Units an hour, and how far off they may be; an infinite error for too few points."""
    size = len(points) // MEANS
    if not size:
        return 0.0, math.inf
    parts = [points[at : at + size] for at in range(0, size * MEANS, size)]
    times = [statistics.fmean(at for at, _ in part) for part in parts]
    means = [statistics.fmean(value for _, value in part) for part in parts]
    line = statistics.linear_regression(times, means)
    off = [mean - line.slope * at - line.intercept for at, mean in zip(times, means, strict=True)]
    middle = statistics.fmean(times)
    spread = sum((at - middle) ** 2 for at in times)
    error = STUDENT * math.sqrt(sum(each**2 for each in off) / (MEANS - 2) / spread)
    return line.slope * 3600, error * 3600


def _client(portal: Portal, token: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"}
    # A connection that is kept may be closed by the server in the very moment it is used again.
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=120, limits=limits)


def _size(people: int) -> Size:
    return Size(people, 400, 0, 0, 0, 0, 0, 0, 0.0, 3.0)


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f}" if seconds else "no"
