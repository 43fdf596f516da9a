"""People on the pages: Streamlit's own websocket messages, one signed-in session each.

A person opens a page, waits until its script has finished, thinks, and opens another; parts of a
page that refresh themselves are refreshed meanwhile, as a browser does. Every message that comes is
searched for the names of the others.
"""

import asyncio
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

from benchmarks._load_portal import Member, Portal

PATIENCE = 120
_NAME = re.compile(rb"person-\d\d@example\.org")
#: Where an admin may see who else there is.
_ABOUT_PEOPLE = ("Accounts", "Audit log", "Overview")
_QUERIES = {
    "Mounts": (
        "", "view=history", "view=history&host=compute-042", "view=history&target=target-0200",
        "view=active&host=compute-007", "view=history&mounted=no&sort=host", "view=operations",
        "view=orphans",
    ),
}  # fmt: skip


@dataclass
class Visits:
    """What the people met. pages: seconds by page title. problems: sentences, empty when well."""

    pages: dict[str, list[float]] = field(default_factory=dict)
    fragments: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    connected: int = 0

    def add(self, other: "Visits") -> None:
        for title, times in other.pages.items():
            self.pages.setdefault(title, []).extend(times)
        self.fragments += other.fragments
        self.problems += other.problems

    @property
    def all_pages(self) -> list[float]:
        return [seconds for times in self.pages.values() for seconds in times]


async def crowd(
    portal: Portal,
    members: Sequence[Member],
    stop: asyncio.Event,
    *,
    rounds: int = 0,
    pause: float = 3.0,
) -> Visits:
    """Everybody at once until `stop` (or for so many rounds over the pages).

    pause: the least seconds that a person thinks between two pages; at most three times as many.
    """
    visits = Visits()
    await asyncio.gather(*(_person(portal, m, stop, visits, rounds, pause) for m in members))
    return visits


async def _person(
    portal: Portal,
    member: Member,
    stop: asyncio.Event,
    visits: Visits,
    rounds: int,
    pause: float,
) -> None:
    address = portal.url.replace("http", "ws", 1) + "/_stcore/stream"
    try:
        async with connect(
            address,
            additional_headers={"Cookie": member.cookie},
            subprotocols=["streamlit"],
            max_size=None,
            open_timeout=PATIENCE,
            ping_timeout=PATIENCE,
        ) as socket:
            visits.connected += 1
            await Tab(socket, member, visits, pause).walk(stop, rounds)
    except Exception as exc:
        visits.problems.append(f"{member.name} ({member.role}) lost the portal: {exc!r}")


class Tab:
    """One open browser tab."""

    def __init__(self, socket: Any, member: Member, visits: Visits, pause: float) -> None:
        self._pause = pause
        self._socket, self._member, self._visits = socket, member, visits
        self._chance = random.Random(member.name)
        self._pages: dict[str, str] = {}
        self._fragment: tuple[str, float] | None = None
        self._title = "Overview"

    async def walk(self, stop: asyncio.Event, rounds: int) -> None:
        """From page to page; with `rounds`, all of them so often and without thinking."""
        await self._open("Overview", "")
        titles = sorted(self._pages)
        for title in titles * rounds:
            await self._visit(title)
        while not rounds and not stop.is_set():
            await self._visit(self._chance.choice(titles))
            await self._think(stop)

    async def _visit(self, title: str) -> None:
        seconds = await self._open(title, self._pages[title])
        self._visits.pages.setdefault(title, []).append(seconds)

    async def _open(self, title: str, script: str) -> float:
        self._title, self._fragment = title, None
        asked = BackMsg()
        asked.rerun_script.page_script_hash = script
        asked.rerun_script.query_string = self._chance.choice(_QUERIES.get(title, ("",)))
        return await self._run(asked, 0)

    async def _think(self, stop: asyncio.Event) -> None:
        until = time.monotonic() + self._chance.uniform(self._pause, 3 * self._pause)
        while not stop.is_set() and time.monotonic() < until:
            left = until - time.monotonic()
            pause = min(left, self._fragment[1]) if self._fragment else left
            await asyncio.sleep(max(pause, 0.05))
            if self._fragment and time.monotonic() < until:
                asked = BackMsg()
                asked.rerun_script.page_script_hash = self._pages.get(self._title, "")
                asked.rerun_script.fragment_id = self._fragment[0]
                asked.rerun_script.is_auto_rerun = True
                self._visits.fragments.append(await self._run(asked, 3))

    async def _run(self, asked: BackMsg, wanted: int) -> float:
        """Seconds until the script (0) or the fragment (3) has finished successfully."""
        begun = time.perf_counter()
        await self._socket.send(asked.SerializeToString())
        while True:
            raw = await asyncio.wait_for(self._socket.recv(), PATIENCE)
            self._check_names(raw)
            message = ForwardMsg()
            message.ParseFromString(raw)
            if self._take(message) in (wanted, 0, 1):
                return time.perf_counter() - begun

    def _take(self, message: ForwardMsg) -> int | None:
        """Note what matters of a message; its status when it is the end of a script."""
        kind = message.WhichOneof("type")
        if kind == "navigation":
            self._pages = {p.page_name: p.page_script_hash for p in message.navigation.app_pages}
        elif kind == "auto_rerun":
            self._fragment = (message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "delta" and message.delta.new_element.HasField("exception"):
            said = message.delta.new_element.exception.message
            self._visits.problems.append(f"{self._title} showed an exception: {said[:300]}")
        elif kind == "delta" and message.delta.new_element.HasField("alert"):
            self._note_alert(message.delta.new_element.alert)
        elif kind == "script_finished":
            if message.script_finished == 1:
                self._visits.problems.append(f"{self._title} did not compile")
            return int(message.script_finished)
        return None

    def _note_alert(self, alert: Any) -> None:
        """A red box on a page that was only opened is a failure that the portal put into words."""
        if alert.format == alert.ERROR:
            self._visits.problems.append(f"{self._title} said: {alert.body[:300]}")

    def _check_names(self, raw: bytes) -> None:
        if self._member.role == "admin" and self._title in _ABOUT_PEOPLE:
            return
        others = set(_NAME.findall(raw)) - {self._member.name.encode()}
        if others:
            self._visits.problems.append(
                f"{self._member.name} saw {sorted(others)[:3]} on {self._title}"
            )
