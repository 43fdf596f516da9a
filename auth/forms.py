"""Forms that the portal's own pages post to its routes, and where a route sends the browser."""

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from auth.paths import CALLBACK_PATH

#: They are posted forms of three short fields; anything larger is not ours.
MAX_FIELDS = 8
MAX_PART = 4_096
MAX_BODY = 16_384
BODY_SECONDS = 10


def local_path(target: str) -> str:
    """`target` when it is a path of this portal, else "/": no redirect ever leaves it.

    Browsers read a backslash as a slash and drop control characters, so both are refused.
    """
    # "//…" first: what stands there for a host, urlsplit may refuse with a ValueError
    if not target.startswith("/") or target.startswith("//") or len(target) > 2_000:
        return "/"
    if not target.isprintable() or "\\" in target:
        return "/"
    parts = urlsplit(target)
    if parts.path.startswith(("/auth/", "/api/", CALLBACK_PATH)):
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")


async def own_form(request: Request) -> FormData | Response:
    """The posted form; a refusal when another site posted it (login CSRF) or it is too large."""
    origin = request.headers.get("origin", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none") or (
        origin and urlsplit(origin).netloc != request.headers.get("host", "")
    ):
        return Response("This form was sent by another site.", 403, media_type="text/plain")
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > MAX_BODY:
        return Response("This is not the portal's form.", 413, media_type="text/plain")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_PART)
    except TimeoutError:
        return Response("The form did not come in time.", 408, media_type="text/plain")


def go(path: str) -> Response:
    return RedirectResponse(path, status_code=303, headers={"cache-control": "no-store"})
