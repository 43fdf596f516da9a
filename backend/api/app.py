"""The REST face: FastAPI with every domain's routes, OpenAPI at /api/docs."""

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import Route

from backend import __version__, composition
from backend.api import docs, errors, mcp
from backend.api.bodies import Bodies
from backend.api.callers import Callers, StrangersWriteNothing
from backend.api.deps import only_known_parameters
from backend.api.lanes import Lanes
from backend.api.measured import Measured
from backend.api.rate import RateLimit
from backend.api.routes import health, metrics
from backend.api.trigger import TriggerRefusals
from backend.core.settings import get_settings


def create_app() -> FastAPI:
    """The whole REST API with full paths (/healthz, /trigger, /api/…)."""
    app = FastAPI(
        title="Steward Portal",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        swagger_ui_oauth2_redirect_url=None,
    )
    errors.install(app)
    docs.install(app)
    settings = get_settings()
    # From the inside out: what is refused, or still on its way, takes no place.
    app.add_middleware(Lanes)
    app.add_middleware(Bodies)
    app.add_middleware(StrangersWriteNothing)
    app.add_middleware(RateLimit, per_minute=settings.api_requests_per_minute)
    app.add_middleware(Callers)
    app.add_middleware(TriggerRefusals)
    origins = settings.api_allowed_origins
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            max_age=600,
        )
    app.add_middleware(Measured)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.router.routes.append(Route(mcp.PATH, endpoint=mcp.Mcp(), methods=["POST"]))
    for prefix, router in composition.routers():
        app.include_router(
            router,
            prefix=prefix,
            dependencies=[Depends(only_known_parameters)],
            responses=errors.RESPONSES,
        )
    return app
