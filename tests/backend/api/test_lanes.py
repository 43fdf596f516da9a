"""Many requests at once take few places, and none takes all."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from backend.api.lanes import READS, READS_OF_A_ROOM, THREADS, WRITES, Lanes


class Work:
    """An app whose answers wait until they are let go. most: in work at the same time."""

    def __init__(self) -> None:
        self.going: list[str] = []
        self.most = 0
        self.answered: list[str] = []
        self.let_go = asyncio.Event()

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        self.going.append(scope["path"])
        self.most = max(self.most, len(self.going))
        await self.let_go.wait()
        self.going.remove(scope["path"])
        self.answered.append(scope["path"])


def request(lanes: Lanes, path: str, method: str = "GET") -> "asyncio.Task[None]":
    async def never() -> Any:
        raise AssertionError("nothing is read or sent here")

    return asyncio.create_task(
        lanes({"type": "http", "path": path, "method": method}, never, never)  # type: ignore[arg-type]
    )


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


class TestLanes:
    def test_two_hundred_reads_at_once_are_worked_on_a_few_at_a_time(self) -> None:
        async def test() -> None:
            work = Work()
            lanes = Lanes(work)
            rooms = ("mounts", "jobs", "ingestion", "user-sync")
            asked = [request(lanes, f"/api/{rooms[n % 4]}/{n}") for n in range(200)]
            await settled()
            assert len(work.going) == READS
            work.let_go.set()
            await asyncio.gather(*asked)
            assert (len(work.answered), work.most) == (200, READS)

        run(test())

    def test_a_room_that_hangs_leaves_the_others_their_places(self) -> None:
        async def test() -> None:
            work = Work()
            lanes = Lanes(work)
            asked = [request(lanes, f"/api/mounts/{n}/t") for n in range(50)]
            await settled()
            assert len(work.going) == READS_OF_A_ROOM
            asked += [request(lanes, "/api/jobs"), request(lanes, "/healthz")]
            await settled()
            assert {"/api/jobs", "/healthz"} <= set(work.going)
            work.let_go.set()
            await asyncio.gather(*asked)

        run(test())

    @pytest.mark.parametrize(
        ("path", "method"),
        [("/trigger", "POST"), ("/api/mounts/1/t", "DELETE"), ("/api/mounts/export.csv", "GET")],
    )
    def test_writes_that_wait_for_an_outside_system_stop_no_read(
        self, path: str, method: str
    ) -> None:
        async def test() -> None:
            work = Work()
            lanes = Lanes(work)
            asked = [request(lanes, path, method) for _ in range(WRITES + 10)]
            await settled()
            assert len(work.going) == WRITES
            asked.append(request(lanes, "/api/mounts"))
            await settled()
            assert "/api/mounts" in work.going
            work.let_go.set()
            await asyncio.gather(*asked)

        run(test())

    def test_there_are_threads_for_all_lanes_and_some_left(self) -> None:
        assert READS + WRITES < THREADS

    def test_a_request_that_fails_gives_its_place_back(self) -> None:
        async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
            raise RuntimeError("a bug")

        async def test() -> None:
            lanes = Lanes(broken)
            for number in range(READS + 1):
                with pytest.raises(RuntimeError, match="a bug"):
                    await request(lanes, f"/api/jobs/{number}")

        run(test())
