"""What a DataHub server does before anything else: its two addresses, tokens, the web interface."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backend.sandbox import loopback
from backend.sandbox.datahub.http import Grant, Request, Response, as_html, as_json
from backend.sandbox.faults import Fault

Handler = Callable[[Request], Response]

PROXY_PREFIX = "/api/gms"
_NOBODY = Grant("urn:li:corpuser:UNKNOWN", False, False, False, False)
_LARGEST_BODY = 32 * 1024 * 1024
_UNAUTHORIZED = (
    "<html><head><title>Error 401 Unauthorized</title></head><body><h2>HTTP ERROR 401</h2>"
    "<p>Unauthorized to perform this action.</p></body></html>"
)
_FRONTEND = (
    "<!doctype html><html lang='en'><head><title>DataHub</title></head>"
    "<body><div id='root'></div></body></html>"
)


@dataclass(frozen=True)
class Doors:
    """public, protected: first path segment → handler; protected ones need one of the tokens."""

    public: Mapping[str, Handler]
    protected: Mapping[str, Handler]
    tokens: Mapping[str, Grant]

    def answer(self, request: loopback.Request) -> Response:
        if len(request.body) > _LARGEST_BODY:
            return as_json({"error": "Payload too large"}, 413)
        path = request.path
        if path.startswith(PROXY_PREFIX + "/"):
            if request.method == "PATCH":
                return as_json({"error": f"No route for PATCH {path}"}, 404)
            path = path.removeprefix(PROXY_PREFIX)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self.tokens.get(token) if scheme == "Bearer" else None
        first = path.strip("/").split("/")[0]
        handler = self.public.get(first) or self.protected.get(first)
        if handler is None:
            return as_html(_FRONTEND)  # DataHub's web interface answers every path so
        if grant is None and first not in self.public:
            return as_html(_UNAUTHORIZED, 401)
        asked = Request(request.method, path, request.query, request.body, grant or _NOBODY)
        return handler(asked)


def failing(fault: Fault) -> Response:
    """A fault's answer, as DataHub's servers word it; html is the web interface's page."""
    if fault.html:
        return as_html(_FRONTEND)
    if fault.status == 401:
        return as_html(_UNAUTHORIZED, 401)
    if fault.body is not None or fault.headers:
        return loopback.faulty(fault)
    message = "INTERNAL SERVER ERROR" if fault.status == 500 else "refused"
    return as_json({"status": fault.status, "message": message}, fault.status or 200)
