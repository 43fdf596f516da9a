"""A read replica as the target, and a failover to it while a run is at work."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from backend.core.errors import UpstreamError, UpstreamUnavailable
from backend.integrations.postgres.errors import SourceRefused
from backend.integrations.postgres.probe import probe
from backend.tokenization.detection import Detection
from backend.tokenization.engines.base import Outcome
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.engines.postgres.engine import PostgresEngine
from backend.tokenization.schemas import Method
from tests.backend.tokenization.world import TOKENIZER, Recorder, Source, choices, customers
from tests.fixtures.postgres import PostgresServer, StandbyServer

ROWS = 2_000


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, StandbyServer, Source, Source]]:
    """A primary with its standby, and the same table on both."""
    with closing(PostgresServer.launch()) as primary:
        source = Source(primary.url(primary.create_database()))
        customers(source, rows=ROWS)
        with closing(StandbyServer.of(primary)) as standby:
            yield primary, standby, source, Source(standby.url(source.database))


def _engine(source: Source) -> PostgresEngine:
    config = type("Config", (), {"settings": source.settings, "secrets": source.secrets})()
    return PostgresEngine(config, source.table("customers"))


def test_a_replica_is_told_as_one_and_a_failover_leaves_all_or_nothing(
    pair: tuple[PostgresServer, StandbyServer, Source, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    primary, standby, source, replica = pair
    engine = _engine(replica)

    found = probe(replica.settings, replica.secrets, timeout=60)
    assert "this server is a read replica" in found.cause
    report = engine.preview(TOKENIZER, 10, lambda _values: Detection(chosen={"email": ""}))
    assert "is a read replica" in " ".join(report.blockers)
    writes: list[Callable[[], object]] = [
        lambda: engine.rewrite(choices("email"), TOKENIZER, Recorder()),
        lambda: engine.rewrite(choices("email"), TOKENIZER, Recorder(), Method.REWRITE),
        lambda: engine.clean_up(["email"]),
    ]
    for write in writes:
        with pytest.raises(SourceRefused, match=r"read-only .* at the primary server\."):
            write()

    monkeypatch.setattr(rewrite, "FIRST_BATCH_BLOCKS", 2)

    def fail_over(share: float) -> None:
        if share and primary.managed:
            primary.close()
            primary.managed = False
            standby.promote()

    run = Recorder(on_progress=fail_over)
    with pytest.raises(UpstreamError) as caught:
        _engine(source).rewrite(choices("email"), TOKENIZER, run)
    assert isinstance(caught.value, UpstreamUnavailable)
    assert engine.outcome(run.transaction_id, patience=0) is Outcome.UNKNOWN
    assert engine.count_plain(["email"]).rows_plain == ROWS
    # The promoted one has the table that was previewed.
    assert engine.require_columns(["email"])["email"]
    assert engine.rewrite(choices("email"), TOKENIZER, Recorder()).rows_updated == ROWS
