"""What POST /api/ingestion/run costs beside boto3's own call to the same moto server.

Three processes, as in life: moto, the REST API under uvicorn on a fresh state database, and this
client. Calls alternate, so that a busy machine slows both sides. Claim: at most 20 ms more at the
median. Then 200 posts of 20 clients at once: each answered, each one run.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROUNDS = 150
ALLOWED_MS = 20.0
URN = "urn:li:dataset:(urn:li:dataPlatform:athena,bench.t{},PROD)"

MOTO = """
import json, sys
from backend.sandbox.aws import AwsStandIn
aws = AwsStandIn()
aws.start()
aws.add_function("bench-lambda", seconds=600, outcome="silent")
print(json.dumps({"settings": aws.settings(), "secrets": aws.secrets()}), flush=True)
for line in sys.stdin:
    ids = [start.payload.get("runId", "") for start in aws.starts("Invoke")]
    print(json.dumps(ids), flush=True)
"""

PORTAL = """
import json, socket, sys, threading, uvicorn
from backend.accounts import api_tokens
from backend.api.app import create_app
from backend.connections import environments, service
from backend.core import log, secret_store, startup
from backend.core.access import SYSTEM
from backend.core.database import get_database
from backend.ingestion import mapping
log.configure("ERROR")
database = get_database()
startup.prepare(database, secret_store.get_vault())
aws = json.loads(sys.argv[1])
with database.write() as session:
    environments.add(session, SYSTEM, name="bench", default=True)
    service.save(session, SYSTEM, environment="bench", kind="aws",
                 settings=aws["settings"], secrets_in=aws["secrets"])
    mapping.put(session, SYSTEM, kind="default", pattern="", target="bench-lambda")
    token = api_tokens.add(session, SYSTEM, name="bench", role="operator").raw
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
print(json.dumps({"url": "http://127.0.0.1:%d" % listener.getsockname()[1], "token": token}),
      flush=True)
server = uvicorn.Server(uvicorn.Config(create_app(), log_level="error"))
server.run(sockets=[listener])
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "HOME": folder,
            "PORTAL_DATA_DIR": str(Path(folder) / "state"),
            "PORTAL_LOG_LEVEL": "ERROR",
            "DATAHUB_TELEMETRY_ENABLED": "false",
        }
        moto = _child(MOTO, environ)
        aws = json.loads(moto.stdout.readline())  # type: ignore[union-attr]
        portal = _child(PORTAL, environ, json.dumps(aws))
        try:
            told = json.loads(portal.stdout.readline())  # type: ignore[union-attr]
            return _measure(aws, told["url"], told["token"], moto)
        finally:
            for process in (portal, moto):
                process.terminate()
                process.wait(10)


def _measure(aws: dict[str, Any], url: str, token: str, moto: Any) -> int:
    import boto3
    import httpx
    from botocore.config import Config

    direct = boto3.client(
        "lambda",
        region_name=aws["settings"]["region"],
        endpoint_url=aws["settings"]["endpoint_url"],
        aws_access_key_id=aws["settings"]["access_key_id"],
        aws_secret_access_key=aws["secrets"]["secret_access_key"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    client = httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
        transport=httpx.HTTPTransport(retries=10),
    )
    _wait(client)

    def own(number: int) -> None:
        payload = json.dumps({"datasetUrn": URN.format(number), "reason": "", "actor": "bench"})
        direct.invoke(FunctionName="bench-lambda", InvocationType="Event", Payload=payload)[
            "Payload"
        ].read()

    def post(number: int) -> tuple[int, str]:
        answer = client.post("/api/ingestion/run", json={"datasetUrn": URN.format(number)})
        return answer.status_code, answer.json().get("runId", answer.text)

    for number in range(10):
        own(number)
        assert post(10_000 + number)[0] == 200
    mine, theirs, empty = [], [], []
    for number in range(ROUNDS):
        empty.append(_took(lambda: client.get("/healthz")))
        theirs.append(_took(lambda n=number: own(n)))
        mine.append(_took(lambda n=number: post(n)))
    added = statistics.median(mine) - statistics.median(theirs)
    print(f"boto3's own call         median {statistics.median(theirs):6.1f} ms")
    print(f"GET /healthz             median {statistics.median(empty):6.1f} ms")
    print(f"POST /api/ingestion/run  median {statistics.median(mine):6.1f} ms")
    ratio = statistics.median(mine) / statistics.median(theirs)
    print(f"added at the median      {added:6.1f} ms  (ratio {ratio:.2f}, allowed {ALLOWED_MS} ms)")
    return _crowd(post, moto, added)


def _crowd(post: Any, moto: Any, added: float) -> int:
    begun = time.perf_counter()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(post, range(20_000, 20_200)))
    seconds = time.perf_counter() - begun
    moto.stdin.write("\n")
    moto.stdin.flush()
    started = json.loads(moto.stdout.readline())
    ids = {run for _status, run in answers}
    good = sum(status == 200 for status, _run in answers)
    once = all(started.count(run) == 1 for run in ids)
    print(
        f"200 posts of 20 clients  {good} answered with 200, {len(ids)} runs, "
        f"{'each started once' if once else 'NOT each started once'}, in {seconds:.1f} s"
    )
    ok = good == len(ids) == 200 and once
    return 0 if ok and added <= ALLOWED_MS else 1


def _child(code: str, environ: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[1],
    )


def _wait(client: Any) -> None:
    import httpx

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)


def _took(call: Any) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    sys.exit(main())
