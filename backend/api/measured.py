"""Counts each REST request under its route's pattern, never under what a client wrote."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core import metrics, tracing

#: What nginx writes for a request whose client went away before it was answered.
GONE = 499
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class Measured:
    """Pure ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), GONE

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "other"
        try:
            with tracing.span(method, headers=_parent(scope)):
                try:
                    await self.app(scope, receive, noted)
                except Exception:
                    status = 500 if status == GONE else status
                    raise
                finally:
                    route = _pattern(scope)
                    said = {"http.route": route, "http.response.status_code": str(status)}
                    tracing.renamed(f"{method} {route}", said)
        finally:
            route = _pattern(scope)
            metrics.REQUESTS.labels(method, route, str(status)).inc()
            metrics.REQUEST_SECONDS.labels(route).observe(time.perf_counter() - began)


def _parent(scope: Scope) -> dict[str, str]:
    """The headers of W3C's trace context."""
    sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return {name: sent[name] for name in ("traceparent", "tracestate") if name in sent}


def _pattern(scope: Scope) -> str:
    """ "/api/jobs/{job_id}"; "other" for what no route answers. A route of FastAPI knows its path
    in its own router only, and all routers of the API are either below /api or at the top."""
    path = getattr(scope.get("route"), "path", "")
    if not path:
        return "other"
    below = scope["path"].startswith("/api/") and not f"{path}/".startswith("/api/")
    return f"/api{path}" if below else str(path)
