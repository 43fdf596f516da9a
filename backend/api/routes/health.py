"""Is the portal alive; no token, nothing secret."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text

from backend import __version__
from backend.api.deps import State
from backend.core.errors import PortalError

router = APIRouter(tags=["health"])


@router.get("/healthz")
@router.head("/healthz", include_in_schema=False)
@router.head("/api/healthz", include_in_schema=False)
@router.get("/api/healthz", include_in_schema=False)
def healthz(database: State) -> Any:
    """200 and status "ok" while the state database answers, 503 and "unavailable" otherwise."""
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
    except PortalError as exc:
        return JSONResponse(
            {"status": "unavailable", "version": __version__, "detail": exc.message}, 503
        )
    return {"status": "ok", "version": __version__}
