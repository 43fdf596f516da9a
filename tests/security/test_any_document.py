"""Whatever stands in a document from outside, its reader answers in words or with nothing.

Mount requests, URNs and user-sync rows have such tests in their own rooms.
"""

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.connections import jwt
from backend.core.errors import PortalError
from backend.dms import requests
from backend.ingestion import documents
from backend.integrations.aws import outcome
from backend.integrations.directory import exchange
from backend.integrations.openmetadata import tokens, transport, wire
from backend.mounts import query_plan

DEEP = "[" * 100_000
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nexact: {? *c : x}\n"
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
).map(json.dumps)
SECTIONS = st.dictionaries(
    st.sampled_from(
        ["exact", "tags", "prefixes", "default", "*", "urn:li:tag:x", "urn:li:dataset:("]
    ),
    st.none() | st.text(max_size=9) | st.dictionaries(st.text(max_size=9), st.text(max_size=9)),
).map(json.dumps)
DOCUMENT = JSON | SECTIONS | st.text(max_size=80)


def _jwt(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def of_claims(text: str) -> Any:
        part = base64.urlsafe_b64encode(text.encode(errors="replace")).decode().rstrip("=")
        return read(f"e30.{part}.sig")

    return of_claims


def _cursor(text: str) -> Any:
    coded = base64.urlsafe_b64encode(text.encode(errors="replace")).decode().rstrip("=")
    return query_plan.read_cursor(coded, "newest")


def _bytes(read: Callable[[bytes], Any]) -> Callable[[str], Any]:
    return lambda text: read(text.encode(errors="replace"))


READERS: dict[str, Callable[[str], Any]] = {
    "mapping as JSON": lambda text: documents.parse_json(text, "portal"),
    "mapping as YAML": lambda text: documents.parse_yaml(text, "portal"),
    "reply of a DMS server": _bytes(requests.parse_reply),
    "claims of a JWT": _jwt(jwt.expiry),
    "claims of an OpenMetadata token": _jwt(tokens.expiry),
    "answer of OpenMetadata": _bytes(wire.document),
    "page of OpenMetadata domains": _bytes(wire.domain_page),
    "error of OpenMetadata": _bytes(transport._message),
    "answer of the directory": _bytes(exchange.document),
    "log line of a Lambda": lambda text: outcome.json_record("{" + text),
    "cursor of the ledger's explorer": _cursor,
}


@pytest.mark.parametrize("name", READERS)
def test_is_read_or_refused_in_words(name: str) -> None:
    @settings(deadline=None, max_examples=60, database=None, derandomize=True)
    @given(DOCUMENT)
    @example(DEEP)
    @example('{"a":' * 50_000)
    @example(BOMB)
    @example('{"exp": 1e400}')
    @example('{"exp": "9" }')
    @example("null")
    @example("NaN")
    def read(text: str) -> None:
        with contextlib.suppress(PortalError):
            READERS[name](text)

    read()
