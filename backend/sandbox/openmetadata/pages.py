"""The stand-in's few web pages: links from the portal lead somewhere, and a user can be edited."""

from html import escape
from urllib.parse import parse_qs, quote, unquote

from backend.sandbox.loopback import Request, Response
from backend.sandbox.openmetadata.store import Json, Store

_SHELL = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px system-ui;margin:2rem auto;max-width:46rem}}dt{{font-weight:600}}
form{{margin-top:2rem;padding:1rem;border:1px solid #ccc;border-radius:.5rem}}</style>
<p><em>Sandbox stand-in of OpenMetadata</em></p>{body}</html>"""


def answer(store: Store, request: Request) -> Response:
    """Everything outside /api is the UI; unknown paths are HTML with 200, as on the server."""
    name = unquote(request.path.removeprefix("/users/"))
    user = store.user_named(name) if request.path.startswith("/users/") else None
    if user is None:
        return _html("OpenMetadata", _users(store))
    if request.method == "POST":
        form = parse_qs(request.body.decode(), keep_blank_values=True)
        wanted = [d for d in form.get("domains", []) if d]
        store.edit_user(
            user["name"],
            by="carla.chen",
            display_name=form.get("displayName", [""])[0],
            domains=tuple(wanted),
        )
        return Response(303, b"", "text/html", {"Location": f"/users/{quote(user['name'])}"})
    return _html(user["name"], _user(store, user))


def _users(store: Store) -> str:
    shown = [store.users[key] for key in store.ordered()[:200]]
    rows = "".join(
        f'<li><a href="/users/{quote(u["name"])}">{escape(u["name"])}</a></li>' for u in shown
    )
    return f"<h1>Users</h1><ul>{rows}</ul>"


def _user(store: Store, user: Json) -> str:
    mine = {ref["id"] for ref in user["domains"]}
    inherited = ", ".join(r["fullyQualifiedName"] for r in store.inherited_domains(user)) or "none"
    options = "".join(
        f'<option value="{escape(d["fullyQualifiedName"])}"'
        f"{' selected' if key in mine else ''}>{escape(d['fullyQualifiedName'])}</option>"
        for key, d in store.domains.items()
    )
    shown = escape(str(user.get("displayName") or ""))
    direct = escape(", ".join(r["fullyQualifiedName"] for r in user["domains"]) or "none")
    return f"""<h1>{shown or escape(user["name"])}</h1><dl>
<dt>Name</dt><dd>{escape(user["name"])}</dd><dt>E-mail</dt><dd>{escape(user["email"])}</dd>
<dt>Domains</dt><dd>{direct}</dd><dt>Inherited from teams</dt><dd>{escape(inherited)}</dd>
<dt>Version</dt><dd>{user["version"]} by {escape(user["updatedBy"])}</dd></dl>
<form method="post"><p>Edit this user as somebody else would (carla.chen), for example between
a plan and its apply:</p><p><label>Display name <input name="displayName" value="{shown}"></label>
</p><p><label>Domains <select name="domains" multiple>{options}</select></label></p>
<button>Save</button></form>"""


def _html(title: str, body: str) -> Response:
    page = _SHELL.format(title=escape(title), body=body)
    return Response(200, page.encode(), "text/html; charset=utf-8")
