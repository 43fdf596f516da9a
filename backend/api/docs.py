"""The OpenAPI page at /api/docs, without a CDN and without inline scripts.

The portal's Content-Security-Policy allows scripts of its own address only, and a data-platform
network often reaches nothing else; the package fastapi-offline carries Swagger UI's files.
"""

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

PATH = "/api/docs"
_FILES = Path(fastapi_offline.__file__).parent / "static"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Steward Portal API</title>
<link rel="icon" href="/api/docs/static/favicon.png">
<link rel="stylesheet" href="/api/docs/static/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/static/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
_START = """window.ui = SwaggerUIBundle({
  url: "/api/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null
});
"""


def install(app: FastAPI) -> None:
    """Put the page and its files on the app."""

    @app.get(PATH, include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(_PAGE)

    @app.get(f"{PATH}/start.js", include_in_schema=False)
    def start() -> Response:
        return Response(_START, media_type="text/javascript")

    app.mount(f"{PATH}/static", StaticFiles(directory=_FILES), name="docs-static")
