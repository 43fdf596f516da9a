"""A statement whose answer was lost is not sent again, shown on the official connector itself."""

import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

from backend.core.errors import OutcomeUnknown
from backend.core.trust import Trust
from backend.integrations.databricks.client import DatabricksClient, DatabricksConfig
from tests.fixtures.certificates import self_signed


class Warehouse:
    """Opens and closes sessions in Thrift as a warehouse does, and hangs up at each statement."""

    hangs_up = True

    def __init__(self, certificate: tuple[Path, Path]) -> None:
        self.asked: Counter[str] = Counter()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = outer.answer(body)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/x-thrift")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_of_no_interest: object) -> None:
                """Nothing: the test counts what came."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]

    def answer(self, body: bytes) -> bytes | None:
        name, _, _ = TBinaryProtocol(TMemoryBuffer(body)).readMessageBegin()
        self.asked[name] += 1
        if name == "ExecuteStatement" and self.hangs_up:
            return None
        written = TMemoryBuffer()
        processor = TCLIService.Processor(self)
        processor.process(TBinaryProtocol(TMemoryBuffer(body)), TBinaryProtocol(written))
        return bytes(written.getvalue())

    def OpenSession(self, _request: object) -> ttypes.TOpenSessionResp:
        return ttypes.TOpenSessionResp(
            status=ttypes.TStatus(ttypes.TStatusCode.SUCCESS_STATUS),
            serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7,
            sessionHandle=ttypes.TSessionHandle(
                ttypes.THandleIdentifier(guid=bytes(16), secret=bytes(16))
            ),
            initialNamespace=ttypes.TNamespace(catalogName="main"),
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, _request: object) -> ttypes.TCloseSessionResp:
        return ttypes.TCloseSessionResp(status=ttypes.TStatus(ttypes.TStatusCode.SUCCESS_STATUS))


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    made = Warehouse(self_signed(tmp_path, "127.0.0.1"))
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(60)


def test_a_statement_whose_answer_was_lost_is_unknown_and_was_sent_once(
    warehouse: Warehouse,
) -> None:
    config = DatabricksConfig(
        "127.0.0.1", "/sql/1.0/warehouses/x", "", "t0k", Trust(verify=False), warehouse.port
    )
    lost = pytest.raises(OutcomeUnknown, match="the statement was sent, but")
    with DatabricksClient(config) as client, lost:
        client.execute("UPDATE people SET email = 'x'")

    assert warehouse.asked["ExecuteStatement"] == 1
    assert warehouse.asked["OpenSession"] == 1
