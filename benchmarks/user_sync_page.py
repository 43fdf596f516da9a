"""The diff page at 100,000 rows: server time per page or filter, and what the browser is sent.

    .venv/bin/python -m benchmarks.user_sync_page [--rows 100000]

The whole page script runs under AppTest, as a click does. Targets: at most 150 ms, under 2 MB. The
other side is what a plain table would send: all rows as one Arrow table.
"""

import argparse
import os
import time
from dataclasses import dataclass
from functools import cache

from backend import composition


@dataclass(frozen=True)
class Step:
    words: str
    query: dict[str, str]


STEPS = (
    Step("first page", {}),
    Step("last page, 100 rows", {"page": "100"}),
    Step("filter by kind", {"kind": "update"}),
    Step("filter by domain", {"domain": "Finance"}),
    Step("filter by text", {"text": "renamed 0999"}),
    Step("text that finds nothing", {"text": "nobody"}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    chosen = parser.parse_args()
    composition.install()
    _look_for_components_once()
    database, plan = _plan(chosen.rows)
    from auth import current
    from backend.accounts.schemas import SignedIn
    from backend.core.access import Actor, Role

    steward = Actor(id=1, name="steward", role=Role.STEWARD, kind="user")
    signed_in = SignedIn(actor=steward, session_id=1, must_change_password=False, external=False)
    current.signed_in = lambda: signed_in
    print(f"{'':28}{'server':>10}{'of it CPU':>12}{'sent':>12}")
    for step in STEPS:
        wall, cpu, size = _step(step, plan)
        print(f"{step.words:28}{wall * 1000:7.0f} ms{cpu * 1000:9.0f} ms{size / 1024:9.0f} kB")
    print(f"{'targets':28}  ≤ 150 ms{'':12}   < 2048 kB")
    print(f"{'all rows as one Arrow table':28}{'':22}{_everything(database, plan) / 1024:9.0f} kB")
    print(f"load of this machine meanwhile: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _look_for_components_once() -> None:
    """AppTest does at every click what a server does at its start: half a second of CPU."""
    from streamlit.components.v2 import manifest_scanner

    manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


def _plan(rows: int) -> tuple[object, int]:
    from backend.sandbox.directory import StandIn as Directory
    from backend.sandbox.directory import seeding as people
    from backend.sandbox.openmetadata import StandIn, seeding
    from benchmarks.user_sync_plan import prepare

    with (
        StandIn(seed=lambda store: seeding.seed_many(store, rows)) as om,
        Directory(seed=lambda: people.seed_many(rows)) as directory,
    ):
        database, actor = prepare(
            {"url": om.url, "token": om.token("portal-admin")}, {"url": directory.url}
        )
        from backend.user_sync import service

        return database, service.plan_now(database, actor, environment="bench").id


def _step(step: Step, plan: int) -> tuple[float, float, int]:
    """Wall and CPU seconds, best of five reruns, and the bytes of every element drawn."""
    from pathlib import Path

    from streamlit.testing.v1 import AppTest

    root = Path(__file__).resolve().parents[1]
    app = AppTest.from_file(str(root / "pages" / "portal.py"), default_timeout=120)
    for name, value in {"plan": str(plan), **step.query}.items():
        app.query_params[name] = value
    app.session_state["user_sync.only"] = False
    app.session_state["user_sync.size"] = 100
    app.run().switch_page("user_sync/page.py").run()
    assert not app.exception, app.exception
    walls, cpus = [], []
    for _ in range(5):
        wall, cpu = time.perf_counter(), time.process_time()
        app.run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus), sum(_size(element) for element in app)


def _size(element: object) -> int:
    proto = getattr(element, "proto", None)
    return len(proto.SerializeToString()) + 40 if proto is not None else 0


def _everything(database: object, plan: int) -> int:
    import pandas as pd
    from streamlit.dataframe_util import convert_anything_to_arrow_bytes

    from backend.core.access import SYSTEM
    from backend.user_sync import service

    with database.read() as session:
        rows = [
            (r.email, r.user_name, r.kind, r.reason, r.old_name, r.new_name, str(r.old_domains))
            for r in service.all_rows(session, SYSTEM, plan_id=plan)
        ]
    return len(convert_anything_to_arrow_bytes(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
