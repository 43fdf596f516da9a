"""One asked-for run is one run: the same dataset, the same key, what was reviewed."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from backend.core.database import Database
from backend.ingestion import runs, service
from backend.ingestion.errors import AlreadyRunning, KeyReused, MappingChanged
from backend.ingestion.schemas import Request, RunView
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import JOB, OTHER, URN, AddRule

Start = Callable[..., RunView]


class TestOnce:
    def test_the_same_dataset_while_running_is_refused_with_that_run(
        self, start: Start, mapped: str, aws: AwsStandIn
    ) -> None:
        first = start()
        with pytest.raises(AlreadyRunning, match=first.run_id) as told:
            start()
        assert told.value.status == 409
        assert len(aws.starts()) == 1

    def test_the_same_key_gives_the_same_run(
        self, start: Start, mapped: str, aws: AwsStandIn
    ) -> None:
        first = start(URN, idempotency_key="form-1")
        again = start(URN, idempotency_key="form-1")
        assert (again.run_id, len(aws.starts())) == (first.run_id, 1)

    def test_a_key_of_another_dataset_is_refused(
        self, start: Start, mapped: str, add_rule: AddRule
    ) -> None:
        start(URN, idempotency_key="form-1")
        with pytest.raises(KeyReused):
            start(OTHER, idempotency_key="form-1")

    @pytest.mark.parametrize("replaced", ["target", "rule"])
    def test_what_was_reviewed_is_started_or_nothing(
        self, start: Start, mapped: str, aws: AwsStandIn, add_rule: AddRule,
        database: Database, actors: SimpleNamespace, replaced: str,
    ) -> None:  # fmt: skip
        seen = runs.preview(database, actors.operator, Request(URN)).resolution.answer
        assert seen is not None
        expected = {"expected_target": seen.target.name, "expected_rule": seen.rule}
        if replaced == "target":
            aws.add_function("drops-everything")
            add_rule("exact", URN, "drops-everything")
        else:
            expected["expected_rule"] = "prefix"
        with pytest.raises(MappingChanged, match="Review it again") as told:
            start(URN, **expected)
        assert (told.value.status, aws.starts()) == (409, [])
        with database.read() as session:
            assert service.list_runs(session, actors.operator).items == ()
        again = runs.preview(database, actors.operator, Request(URN)).resolution.answer
        assert again is not None
        run = start(URN, expected_target=again.target.name, expected_rule=again.rule)
        assert run.status == "accepted"

    @pytest.mark.parametrize(
        "other", [{"metadata": {"full": True}}, {"reason": "b"}, {"job_urn": JOB}]
    )
    def test_a_key_of_another_request_is_refused(
        self, start: Start, mapped: str, aws: AwsStandIn, other: dict[str, object]
    ) -> None:
        first: dict[str, object] = {"metadata": {"full": False}, "reason": "a"}
        start(URN, idempotency_key="form-1", **first)
        with pytest.raises(KeyReused, match="metadata is not the same"):
            start(URN, idempotency_key="form-1", **first | other)
        assert len(aws.starts()) == 1

    def test_the_same_key_from_another_person_gives_the_same_run(
        self, start: Start, mapped: str, actors: SimpleNamespace
    ) -> None:
        first = start(URN, idempotency_key="form-1", reason="a", metadata={"ids": (1, 2)})
        again = start(
            URN, idempotency_key="form-1", reason="a", metadata={"ids": [1, 2]}, actor=actors.admin
        )
        assert again.run_id == first.run_id

    def test_eight_clicks_at_once_make_one_run(
        self, start: Start, mapped: str, aws: AwsStandIn
    ) -> None:
        gate = threading.Barrier(8)

        def click(_number: int) -> str:
            gate.wait()
            return start(URN, idempotency_key="form-1").run_id

        with ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(click, range(8)))
        assert (len(ids), len(aws.starts())) == (1, 1)

    def test_eight_posts_without_a_key_make_one_run_and_seven_refusals(
        self, start: Start, mapped: str, aws: AwsStandIn
    ) -> None:
        gate = threading.Barrier(8)

        def post(_number: int) -> str:
            gate.wait()
            try:
                return start().run_id
            except AlreadyRunning as exc:
                return f"refused {exc.run.run_id}"

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(post, range(8)))
        [started] = [answer for answer in answers if not answer.startswith("refused")]
        assert answers.count(f"refused {started}") == 7
        assert len(aws.starts()) == 1

    def test_a_released_dataset_can_be_run_again(
        self, start: Start, mapped: str, database: Database, actors: SimpleNamespace
    ) -> None:
        first = start()
        with database.write() as session:
            service.release(session, actors.operator, run_id=first.run_id)
        assert start().run_id != first.run_id
