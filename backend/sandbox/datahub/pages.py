"""A small web interface, so that a person can look at "DataHub": the datasets, and one of them."""

import re
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

from backend.sandbox.datahub import process_runs
from backend.sandbox.datahub.http import Request, Response, as_html
from backend.sandbox.datahub.store import Store

Json = dict[str, Any]
_HEADERS = {
    "Content_Security_Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X_Content_Type_Options": "nosniff",
    "Cache_Control": "no-store",
}
#: A link of Markdown in text that was escaped already; only such addresses may be clicked.
_LINK = re.compile(r"\[([^\]\[]+)\]\((https?://[^\s()]+)\)")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
.note { background: #eef; padding: .5rem 1rem; border-radius: .5rem }
.tag { background: #ddd; border-radius: 1rem; padding: .1rem .6rem; margin-right: .3rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem;
border-bottom: 1px solid #ddd; vertical-align: top } pre { white-space: pre-wrap; margin: 0 }
"""


class Pages:
    """GET /dataset lists them, GET /dataset/{urn} shows one. No token: it is for a browser."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def handle(self, request: Request) -> Response:
        parts = request.path_parts
        if request.method not in ("GET", "HEAD"):
            return as_html("<p>Only for looking.</p>", 405)
        if len(parts) == 1:
            return self._list()
        urn = "/".join(parts[1:])
        if not urn.startswith("urn:li:dataset:") or not self._store.exists(urn):
            return _page("Not found", f"<p>There is no dataset {escape(urn)}.</p>", 404)
        return self._dataset(urn)

    def _list(self) -> Response:
        rows = "".join(
            f"<tr><td><a href='/dataset/{quote(urn, safe='')}/'>{escape(urn)}</a></td>"
            f"<td>{_tags(self._store.get(urn, 'globalTags'))}</td></tr>"
            for urn in sorted(self._store.urns("dataset"))
        )
        return _page("Datasets", f"<table><tr><th>Dataset</th><th>Tags</th></tr>{rows}</table>")

    def _dataset(self, urn: str) -> Response:
        properties = self._aspect(urn, "datasetProperties")
        edited = self._aspect(urn, "editableDatasetProperties")
        text = edited.get("description") or properties.get("description") or ""
        parts = [
            f"<p><code>{escape(urn)}</code></p>",
            f"<p>{_tags(self._aspect(urn, 'globalTags')) or 'No tags'}</p>",
            f"<h2>Documentation</h2><pre>{_LINK.sub(_link, escape(text))}</pre>",
            self._links(urn),
            self._runs(urn),
            self._fields(urn),
            _properties(properties.get("customProperties") or {}),
        ]
        return _page(str(properties.get("name") or urn), "".join(parts))

    def _links(self, urn: str) -> str:
        rows = ""
        for each in self._aspect(urn, "institutionalMemory").get("elements") or []:
            url, label = each["url"], escape(each["description"])
            # A stored address may be anything; only these may become something to click.
            if url.startswith(("http://", "https://")):
                label = f"<a href='{escape(url, quote=True)}' rel='noreferrer'>{label}</a>"
            rows += f"<li>{label} <small>{escape(url)}</small></li>"
        return f"<h2>Links</h2><ul>{rows}</ul>" if rows else ""

    def _runs(self, urn: str) -> str:
        """The newest runs that wrote the dataset, as DataHub's tab Runs shows them."""
        rows = ""
        for run in process_runs.of_dataset(self._store, urn, "OUTGOING", 0, 20)["runs"]:
            latest: Json = next(iter(run.state(None)), {})
            ended = (latest.get("result") or {}).get("resultType") or latest.get("status") or ""
            at = datetime.fromtimestamp(((run.created or {}).get("time") or 0) / 1000, UTC)
            rows += (
                f"<tr><td>{at:%Y-%m-%d %H:%M} UTC</td><td>{escape(run.name or run.urn)}</td>"
                f"<td>{escape(ended)}</td></tr>"
            )
        head = "<tr><th>Asked for</th><th>Run</th><th>Result</th></tr>"
        return f"<h2>Runs</h2><table>{head}{rows}</table>" if rows else ""

    def _fields(self, urn: str) -> str:
        edited = {
            each["fieldPath"]: each
            for each in self._aspect(urn, "editableSchemaMetadata").get("editableSchemaFieldInfo")
            or []
        }
        rows = "".join(
            f"<tr><td>{escape(each['fieldPath'])}</td>"
            f"<td>{escape(each.get('nativeDataType') or '')}</td>"
            f"<td>{_tags(each.get('globalTags'))}"
            f"{_tags(edited.get(each['fieldPath'], {}).get('globalTags'))}</td></tr>"
            for each in self._aspect(urn, "schemaMetadata").get("fields") or []
        )
        head = "<tr><th>Field</th><th>Type</th><th>Tags</th></tr>"
        return f"<h2>Schema</h2><table>{head}{rows}</table>" if rows else ""

    def _aspect(self, urn: str, name: str) -> Json:
        return self._store.get(urn, name) or {}


def _properties(properties: Json) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(key))}</td><td><pre>{escape(str(value))}</pre></td></tr>"
        for key, value in sorted(properties.items())
    )
    return f"<h2>Properties</h2><table>{rows}</table>" if rows else ""


def _link(found: re.Match[str]) -> str:
    return f"<a href='{found[2]}' rel='noreferrer'>{found[1]}</a>"


def _tags(holder: Json | None) -> str:
    return "".join(
        f"<span class='tag'>{escape(each['tag'].removeprefix('urn:li:tag:'))}</span>"
        for each in (holder or {}).get("tags") or []
    )


def _page(title: str, body: str, status: int = 200) -> Response:
    return as_html(
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(title)} · sandbox DataHub</title><style>{_STYLE}</style></head><body>"
        "<p class='note'>This is the portal's sandbox: a stand-in for DataHub, with made-up data. "
        f"<a href='/dataset'>All datasets</a></p><h1>{escape(title)}</h1>{body}</body></html>",
        status,
        **_HEADERS,
    )
