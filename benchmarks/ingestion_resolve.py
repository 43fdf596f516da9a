"""What resolving costs against 10 and against 10,000 rules. Claim: under 1 ms at 10,000.

Two figures: the rules alone, and the rules as a request asks for them, with the look into the state
database that tells whether they have changed. Beside them the plain way: walking all rules.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

ALLOWED_MS = 1.0
URN = "urn:li:dataset:(urn:li:dataPlatform:athena,db.schema_7.table,PROD)"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(PORTAL_DATA_DIR=folder, PORTAL_LOG_LEVEL="ERROR", HOME=folder)
        figures = [_measure(count) for count in (10, 10_000)]
    few, many = figures
    print(f"ratio 10,000 to 10 rules, rules alone: {many[0] / few[0]:.2f}")
    print(f"ratio 10,000 to 10 rules, as a request asks: {many[1] / few[1]:.2f}")
    print(f"ratio walking to looking up, 10,000 rules: {many[2] / many[0]:.0f}")
    return 0 if many[1] < ALLOWED_MS else 1


def _measure(count: int) -> tuple[float, float, float]:
    from backend.connections import environments
    from backend.core import secret_store, startup
    from backend.core.access import SYSTEM
    from backend.core.database import get_database
    from backend.ingestion import mapping, resolve, run_context
    from backend.ingestion.catalog import Catalog

    database = get_database()
    startup.prepare(database, secret_store.get_vault())
    document = {f"db.schema_{n}.*": f"f{n}" for n in range(count // 2)}
    document |= {
        f"urn:li:dataset:(urn:li:dataPlatform:athena,other.t{n},PROD)": "f"
        for n in range(count - len(document))
    }
    with database.write() as session:
        if not environments.list_all(session, SYSTEM):
            environments.add(session, SYSTEM, name="bench", default=True)
        mapping.import_text(session, SYSTEM, text=json.dumps(document), replace_all=True)
    with database.read() as session:
        context = run_context.load(session)
        catalog = Catalog(None)

        def alone() -> object:
            return next(resolve.candidates(context, catalog, URN, None, []), None)

        def asked() -> object:
            rules = run_context.portal_rules(session, context.environment_id)
            assert len(rules) == count
            return alone()

        def walked() -> object:
            name = "db.schema_7.table"
            best = [r for r in context.portal if r.kind == "prefix" and name.startswith(r.pattern)]
            return max(best, key=lambda rule: len(rule.pattern), default=None)

        result = _median(alone), _median(asked), _median(walked, 20)
    print(
        f"{count:6,} rules: rules alone {result[0]:.4f} ms, as a request asks {result[1]:.4f} ms, "
        f"walking them {result[2]:.3f} ms"
    )
    return result


def _median(call: Callable[[], object], rounds: int = 300) -> float:
    call()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
