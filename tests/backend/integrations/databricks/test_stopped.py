"""A statement that a person stops is cancelled on the warehouse, shown on the real connector."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from databricks.sql.thrift_api.TCLIService import ttypes

from backend.core import stopping
from backend.core.stopping import Stop, Stopped
from backend.core.trust import Trust
from backend.integrations.databricks.client import DatabricksClient, DatabricksConfig
from tests.backend.integrations.databricks.test_sent_once import Warehouse
from tests.fixtures.certificates import self_signed

SUCCESS = ttypes.TStatus(ttypes.TStatusCode.SUCCESS_STATUS)
NUMBER = ttypes.THandleIdentifier(guid=bytes(range(16)), secret=bytes(16))


class Busy(Warehouse):
    """Each statement goes on until it is cancelled. taken: it came; numbered: it may have its
    number; looked: its state was asked for; cancelled: the numbers that were to be cancelled."""

    hangs_up = False

    def __init__(self, certificate: tuple[Path, Path]) -> None:
        super().__init__(certificate)
        self.taken, self.numbered, self.looked = (threading.Event() for _ in range(3))
        self.cancelled: list[bytes] = []

    def ExecuteStatement(self, _request: object) -> ttypes.TExecuteStatementResp:
        self.taken.set()
        assert self.numbered.wait(60)
        handle = ttypes.TOperationHandle(
            NUMBER, ttypes.TOperationType.EXECUTE_STATEMENT, hasResultSet=True
        )
        return ttypes.TExecuteStatementResp(status=SUCCESS, operationHandle=handle)

    def GetOperationStatus(self, _request: object) -> ttypes.TGetOperationStatusResp:
        self.looked.set()
        states = ttypes.TOperationState
        state = states.CANCELED_STATE if self.cancelled else states.RUNNING_STATE
        return ttypes.TGetOperationStatusResp(status=SUCCESS, operationState=state)

    def CancelOperation(self, request: ttypes.TCancelOperationReq) -> ttypes.TCancelOperationResp:
        self.cancelled.append(request.operationHandle.operationId.guid)
        return ttypes.TCancelOperationResp(status=SUCCESS)

    def GetResultSetMetadata(self, _request: object) -> ttypes.TGetResultSetMetadataResp:
        refused = ttypes.TStatus(ttypes.TStatusCode.ERROR_STATUS, errorMessage="it was cancelled")
        return ttypes.TGetResultSetMetadataResp(status=refused)

    def CloseOperation(self, _request: object) -> ttypes.TCloseOperationResp:
        return ttypes.TCloseOperationResp(status=SUCCESS)


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    made = Busy(self_signed(tmp_path, "127.0.0.1"))
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(60)


@pytest.mark.parametrize("when", ["while it goes", "before it has a number"])
def test_the_warehouse_is_told_to_cancel_it(busy: Busy, when: str) -> None:
    config = DatabricksConfig(
        "127.0.0.1", "/sql/1.0/warehouses/x", "", "t0k", Trust(verify=False), busy.port
    )
    stop = Stop()

    def ask() -> object:
        with stopping.by(stop), DatabricksClient(config) as client:
            return client.rows("SELECT count(*) FROM people")

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        assert busy.taken.wait(60)
        if when == "while it goes":
            busy.numbered.set()
            assert busy.looked.wait(60)
        stop.ask()
        busy.numbered.set()
        with pytest.raises(Stopped):
            asked.result(timeout=60)
    assert set(busy.cancelled) == {NUMBER.guid}
    assert busy.asked["ExecuteStatement"] == busy.asked["CloseSession"] == 1
