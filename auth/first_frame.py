"""What Streamlit's index page lacks, so that a page's first load does not jump.

Streamlit draws a page before it knows that there is a menu, which then pushes everything aside, and
it fetches the code of each kind of element once the first of that kind is there: until then a table
is a line high. So nothing is shown before the menu or a title is known, and the code of what every
page is made of is fetched meanwhile.
"""

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth import cookies, inline

#: What stands where an element's code is on its way: nothing else there is hidden from a screen
#: reader.
PLACEHOLDER = ":is(.stElementContainer > [aria-hidden])"
#: Nothing before there is a menu or a title, and below a place whose element's code is on its way
#: nothing that it would push down, unless it has the focus. Only in the first twenty seconds, which
#: a slow machine may need: afterwards one sees whatever there is, and a script removes the rules,
#: which a browser would otherwise look at again with each change of a page.
STYLE = (
    '<style id="first-frame">@keyframes first-frame {from, to {--first-frame: hidden}}'
    ".stApp {animation: first-frame 20s}"
    ".stApp:not(:has(.stSidebar, h1, .stAlert)),"
    f":is(.stElementContainer, .stColumn):has({PLACEHOLDER})"
    " ~ :not(:focus, :focus-within) {visibility: var(--first-frame, inherit)}</style>"
)
#: Kinds of elements by the first part of their files' names.
KINDS = (
    *("Button", "ButtonGroup", "Checkbox", "DataFrame", "DownloadButton", "Html", "MenuButton"),
    *("Metric", "Multiselect", "PageLink", "Radio", "Selectbox", "Table", "TextInput"),
)
#: Of them the largest: for who is signed in it is not only fetched but made ready to run.
FIRST = "DataFrame"
#: Headers with which a browser asks whether its copy is still good; the page differs from the file
#: whose age Streamlit would tell. Compressed it could not be changed.
_CONDITIONS = (b"if-none-match", b"if-modified-since", b"accept-encoding", b"range")


class FirstFrame:
    """Pure ASGI middleware: adds to the head of Streamlit's index page, at whichever address.

    style: the pages' own style sheet, a `<style>` element; it is there before what it is for.
    """

    def __init__(self, app: ASGIApp, *, style: str = "") -> None:
        self.app, self.style = app, style.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_visit(scope):
            await self.app(scope, receive, send)
            return
        own = _addition(signed_in=cookies.session_name() in Headers(scope=scope).get("cookie", ""))
        headers = [pair for pair in scope["headers"] if pair[0] not in _CONDITIONS]
        begin: Message = {}
        body, changed = b"", True

        async def with_addition(message: Message) -> None:
            nonlocal begin, body, changed
            if message["type"] == "http.response.start":
                begin = message
                if "text/html" in Headers(scope=message).get("content-type", ""):
                    return
                changed = False
            if not changed:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            if body.count(b'<div id="root">') == 1:
                body = body.replace(b"</head>", self.style + own + b"</head>", 1)
                answer = MutableHeaders(scope=begin)
                answer["content-length"] = str(len(body))
                del answer["etag"], answer["last-modified"]
            await send(begin)
            await send({"type": "http.response.body", "body": body})

        await self.app({**scope, "headers": headers}, receive, with_addition)


def _is_visit(scope: Scope) -> bool:
    asked = scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
    return asked and not scope["path"].startswith(("/api/", "/auth/", "/_stcore/", "/media/"))


@lru_cache(maxsize=2)
def _addition(*, signed_in: bool) -> bytes:
    """signed_in: this browser has a session, so that pages come next and no form."""
    links = [
        f'<script type="module" async src="./static/js/{name}"></script>'
        if signed_in and name.startswith(f"{FIRST}.")
        else f'<link rel="modulepreload" fetchpriority="low" href="./static/js/{name}">'
        for name in _scripts()
    ]
    scripts = "".join(f"<script>{each}</script>" for each in inline.IN_HEAD)
    return (scripts + STYLE + "".join(links)).encode()


def _scripts() -> list[str]:
    """Files of KINDS and what they import, without those that Streamlit's index names itself."""
    spec = find_spec("streamlit")
    if spec is None or spec.origin is None:
        return []
    static = Path(spec.origin).parent / "static"
    index = (static / "index.html").read_text(encoding="utf-8")
    files = {path.name: path for path in (static / "static/js").glob("*.js")}
    wanted = [name for name in files if name.split(".")[0] in KINDS]
    found: list[str] = []
    while wanted:
        name = wanted.pop()
        if name in found or name in index or name not in files:
            continue
        found.append(name)
        text = files[name].read_text(encoding="utf-8")
        wanted += re.findall(r"""(?:from|import)\s*["'`]\./([\w.-]+\.js)["'`]""", text)
    return sorted(found)
