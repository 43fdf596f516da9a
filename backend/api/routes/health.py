"""Does the process live, can it work; no token, nothing secret."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from backend import __version__
from backend.api.deps import State
from backend.api.errors import RESPONSES
from backend.jobs import readiness

router = APIRouter(tags=["health"])


@router.get("/healthz")
@router.head("/healthz", include_in_schema=False)
@router.head("/api/healthz", include_in_schema=False)
@router.get("/api/healthz", include_in_schema=False)
async def healthz() -> dict[str, str]:
    """200 and status "ok" while the process lives; whoever restarts it asks here."""
    return {"status": "ok", "version": __version__}


@router.get("/readyz", responses={503: {"description": RESPONSES[503]["description"]}})
@router.head("/readyz", include_in_schema=False)
@router.head("/api/readyz", include_in_schema=False)
@router.get("/api/readyz", include_in_schema=False)
def readyz(database: State) -> Any:
    """200 while the state takes a write, its schema is this version's, the broker answers and one
    process leads the schedule; else 503 with what is wrong. Whoever sends people here asks."""
    checks = readiness.check(database)
    ready = all(found == readiness.OK for found in checks.values())
    document = {"status": "ok" if ready else "unavailable", "version": __version__}
    return JSONResponse({**document, "checks": checks}, 200 if ready else 503)
