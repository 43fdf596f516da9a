"""A directory over GraphQL: the user's query, its paging, the server's refusals as sentences."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx
from graphql import GraphQLError, OperationDefinitionNode, parse
from graphql.language.ast import VariableDefinitionNode

from backend.core.errors import InvalidInput, UpstreamError
from backend.integrations.directory.errors import (
    SYSTEM,
    FirstPage,
    Forbidden,
    ListMoved,
    NotGraphQL,
    NullField,
    PageTooLarge,
    PartialAnswer,
    QueryRefused,
    RateLimited,
    TokenRefused,
    UnknownField,
)
from backend.integrations.directory.exchange import Exchange, cut_off, document, unavailable
from backend.integrations.directory.graphql import first_page
from backend.integrations.directory.source import (
    Mapper,
    Options,
    Page,
    holds,
    listed,
    repeated,
    variables_of,
)

QUERY = "{ users { email displayName domain } }"
#: Pages in a row without anybody: a cursor may change for ever.
MOST_EMPTY = 100
_SIZES = ("first", "limit", "take", "pageSize", "perPage")
_CURSORS = ("after", "cursor")
_OFFSETS = ("offset", "skip")
_TOTALS = ("totalCount", "total", "totalDocs")
_COUNTED = re.compile(rb'(arrayconnection:|\["natural",)([1-9][0-9]{0,17})(\]?)')
_BAD_TOKEN = re.compile(
    r"\bjwt (malformed|expired|not active|audience|issuer)|\binvalid (jwt|token|signature)\b"
)
#: Hot Chocolate's, Strawberry's, Graphene's and GitHub's words.
_TOO_MANY = re.compile(r"items per page|\bfirst\b.* (exceed|higher|greater)|exceeds the .?first")
_UNAUTHENTICATED = frozenset(
    {"UNAUTHENTICATED", "UNAUTHORIZED", "INVALID_JWT", "INVALID_HEADERS", "ACCESS_DENIED"}
)
_FORBIDDEN = frozenset({"FORBIDDEN", "PERMISSION_DENIED", "PERMISSION_ERROR"})
_UNKNOWN = frozenset({"GRAPHQL_VALIDATION_FAILED", "VALIDATION_FAILED"})
_LIMITED = frozenset({"RATE_LIMITED", "RATE_LIMIT", "RATE_LIMIT_EXCEEDED", "TOO_MANY_REQUESTS"})


class GraphQLSource:
    """Asks the query page by page; see `source.Source`."""

    def __init__(self, exchange: Exchange, options: Options) -> None:
        self.exchange = exchange
        self._options = options
        self._query = options.query.strip() or QUERY
        self._fixed = variables_of(options.variables)
        self._mapper = Mapper(options.mapping) if options.mapping.strip() else None
        self._paging = _Paging(self._query, options.paging, self._fixed)

    def pages(self, most: int | None = None) -> Iterator[Page]:
        """Raises UpstreamError when pages go round in circles, and the errors of `errors`."""
        size = min(self._options.page_size, most or self._options.page_size)
        with self.exchange.session() as client:
            if self._paging.kind == "offset":
                yield from self._by_offset(client, size)
            else:
                yield from self._by_cursor(client, size)

    def _by_offset(self, client: httpx.Client, size: int) -> Iterator[Page]:
        """A page begins with the last entry of the one before, which proves that nobody was passed
        over; the last page holds nothing else. Where a page has only one, or a mapping begins with
        no list of the answer's own, the last page is the empty one; and a server that counts in
        whole pages gives the same one again, and is asked where the next begins. There the page
        before is read once more after each, and must be as it was."""
        start, at, overlaps, before = 0, 0, False, list[object]()
        rounds = turned = False
        while True:
            data = self._ask(client, {**self._fixed, **self._paging.at(start, size)})
            given, held = self._given(data)
            if given and given == before:
                if overlaps:
                    rounds, overlaps, start = True, False, start + 1
                    continue
                if turned and len(before) < size:
                    return  # its last page, which is all that lies behind it, too
                raise UpstreamError(
                    SYSTEM, "it answers the same page again and again", "Check the paging."
                )
            known = repeated(given, before) if overlaps else 0
            if known is None or not (overlaps or self._stands(client, at, size, before)):
                raise ListMoved
            at, before, more, turned = start, list(given), len(given) > known, rounds
            yield Page(self._people(data, given, known), more=more)
            if not more:
                return
            overlaps = held and len(before) > 1 and not rounds
            start += len(before) - overlaps

    def _stands(self, client: httpx.Client, at: int, size: int, before: list[object]) -> bool:
        """Whether the page read before is still as it was."""
        if not before:
            return True
        data = self._ask(client, {**self._fixed, **self._paging.at(at, size)})
        return self._given(data)[0] == before

    def _by_cursor(self, client: httpx.Client, size: int) -> Iterator[Page]:
        """Most cursors name an entry, and whoever leaves makes nobody be passed over. One that only
        counts (see `_one_back`) is an offset: its pages overlap as those by offset do."""
        variables = {**self._fixed, **self._paging.first(size)}
        seen, empty, count, totals = set[str](), 0, 0, list[int]()
        overlaps, before = False, list[object]()
        while True:
            data = self._ask(client, variables)
            given, held = self._given(data)
            following = self._paging.next(data)
            known = repeated(given, before) if overlaps else 0
            if known is None:
                raise ListMoved
            before, count = list(given), count + len(given) - known
            if held and (total := _total_count(data)) is not None:
                totals.append(total)
            # Who comes meanwhile, before the cursor, is no reason: the smallest number counts.
            if following is None and count < min(totals, default=0):
                raise PartialAnswer(f"the list ended after {count} of {min(totals)} people")
            if self._paging.kind == "none" and not totals and _page_info(data) is None:
                self._check_whole(client, count)
            yield Page(self._people(data, given, known), more=following is not None)
            if following is None:
                return
            empty = 0 if before else empty + 1
            if empty > MOST_EMPTY:
                raise UpstreamError(
                    SYSTEM, f"it answers {MOST_EMPTY} empty pages in a row", "Check the paging."
                )
            mark = json.dumps(following, sort_keys=True)
            if mark in seen:
                raise UpstreamError(SYSTEM, "its pages go round in circles", "Try again.")
            seen.add(mark)
            back = {name: _one_back(value) for name, value in following.items()}
            overlaps = held and len(before) > 1 and all(back.values())
            variables.update(back if overlaps else following)

    def _check_whole(self, client: httpx.Client, count: int) -> None:
        """Raise FirstPage where an answer that tells of no number and no next page may be one."""
        if first_page.asked_for(self._query, self._fixed, count):
            raise FirstPage(f"the query asks for {count} people, and as many came")
        if not first_page.doubtful(count):
            return
        try:
            schema = self.execute(client, {"query": first_page.SCHEMA})
        except UpstreamError:  # many servers tell nobody of their schema
            field = self._gives_fewer(client, count)
        else:
            field = first_page.in_pages(self._query, schema)
        if field:
            raise FirstPage(f"{field} is given in pages, and just {count} people came")

    def _gives_fewer(self, client: httpx.Client, count: int) -> str:
        """The field that gives fewer than it gave to who asks for one; "" where none does."""
        for field, query in first_page.for_one(self._query):
            try:
                data = self._ask(client, self._fixed, query)
            except UpstreamError:
                continue
            if len(self._given(data)[0]) < count:
                return field
        return ""

    def _given(self, data: dict[str, Any]) -> tuple[list[object], bool]:
        """The page's entries before the mapping leaves anybody out, and whether what is taken from
        this list is taken from the answer, too."""
        if self._mapper is None:
            return listed(data), True
        found = self._mapper.given(data)
        if found is None:
            return self._mapper.people(data), False
        return found, holds(data, found)

    def _people(self, data: dict[str, Any], given: list[object], known: int = 0) -> list[object]:
        """The page's people without its first `known` entries."""
        del given[:known]
        return given if self._mapper is None else self._mapper.people(data)

    def _ask(
        self, client: httpx.Client, variables: Mapping[str, Any], query: str = ""
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"query": query or self._query}
        if variables:
            body["variables"] = variables
        return self.execute(client, body)

    def execute(self, client: httpx.Client, body: Mapping[str, Any]) -> dict[str, Any]:
        """The data of one request. Raises the errors of `errors`."""
        status, raw, _ = self.exchange.ask(client, "POST", json=body)
        answer = document(raw)
        errors = answer.get("errors") if answer else None
        if errors:  # a list by the specification; some servers give one error, or a text
            found = errors if isinstance(errors, list) else [errors]
            raise refusal(found, status, answer.get("data") if answer else None)
        if status in (401, 403):
            raise TokenRefused(status)
        if status >= 400:
            raise unavailable(status) or _status_error(status)
        data = answer.get("data") if answer else None
        if not isinstance(data, dict):
            no_answer = NotGraphQL(f"{self.exchange.endpoint} does not answer GraphQL")
            raise cut_off(raw) or no_answer
        return data


def refusal(errors: list[Any], status: int, data: object) -> UpstreamError:
    """The sentence for a server's errors: by its code, else by its words.

    Only the first is told: it may quote data.
    """
    first = errors[0] if isinstance(errors[0], dict) else {"message": errors[0]}
    extensions = first.get("extensions")
    given = extensions.get("code") if isinstance(extensions, dict) else None
    code = str(given or "")[:80]
    said = " ".join(str(first.get("message") or "no reason given").split())[:200].rstrip(".")
    raw = first.get("path")
    path: list[object] = raw if isinstance(raw, list) else []
    word, words = code.upper().replace("-", "_"), said.lower()
    told = f"{code}: {said}" if code else said
    # PostGraphile answers 403 to a token that is none ("jwt malformed", "invalid signature").
    if status == 401 or word in _UNAUTHENTICATED or _BAD_TOKEN.search(words):
        return TokenRefused(status, told)
    if status == 403 or word in _FORBIDDEN or words.startswith("permission denied"):
        return Forbidden(told)
    if status == 429 or word in _LIMITED or "rate limit" in words or "too many requests" in words:
        return RateLimited(told)
    if "non-nullable" in words or "non-null" in words:
        return NullField(said, code, path)
    if isinstance(data, dict):
        return PartialAnswer(told)
    if _TOO_MANY.search(words):
        return PageTooLarge(said, code, path)
    if word in _UNKNOWN or "cannot query field" in words or "not found in type" in words:
        return UnknownField(said, code, path)
    return unavailable(status) or QueryRefused(said, code, path)


def _status_error(status: int) -> UpstreamError:
    if status in (400, 404, 405, 406, 415):
        return NotGraphQL(f"there is no GraphQL at this address (HTTP {status})")
    return UpstreamError(SYSTEM, f"HTTP {status}", "Look at the directory's log.")


class _Paging:
    """Which variables of the query turn the page. Raises InvalidInput for a query that is none, or
    has a variable that nothing fills: the server would take its default, such as a first page."""

    def __init__(self, query: str, wanted: str, fixed: Mapping[str, Any] | None = None) -> None:
        needed = _variables(query)
        names = list(needed)
        self._size = _one_of(_SIZES, names)
        self._cursor, self._offset = _one_of(_CURSORS, names), _one_of(_OFFSETS, names)
        self.kind = wanted
        if wanted == "auto":
            self.kind = "relay" if self._cursor else "offset" if self._offset else "none"
        if self.kind == "relay" and not self._cursor:
            raise InvalidInput("Relay paging needs a query with the variable $after.")
        if self.kind == "offset" and not self._offset:
            raise InvalidInput("Paging by offset needs a query with the variable $offset.")
        if fixed is not None:
            turned = {} if self.kind == "none" else {self._size, self._cursor, self._offset}
            _check_filled(name for name in names if needed[name] and name not in {*fixed, *turned})

    def first(self, size: int) -> dict[str, Any]:
        return {self._size: size} if self._size and self.kind == "relay" else {}

    def at(self, start: int, size: int) -> dict[str, Any]:
        return {**({self._size: size} if self._size else {}), self._offset: start}

    def next(self, data: object) -> dict[str, Any] | None:
        """The variables of the page after this one; None after the last."""
        info = _page_info(data)
        if self.kind == "none":
            if info and info.get("hasNextPage"):
                raise PartialAnswer("there are more pages, and the query has no variable $after")
            return None
        if info is None or info.get("hasNextPage") is None:  # without it the first page is the last
            raise QueryRefused("Relay paging needs pageInfo { hasNextPage endCursor } in the query")
        if not info.get("hasNextPage"):
            return None
        if not info.get("endCursor"):
            raise PartialAnswer("there are more pages, but no endCursor")
        return {self._cursor: info["endCursor"]}


def check_query(query: str, paging: str = "", variables: str | None = None) -> None:
    """Raise InvalidInput for what is not one GraphQL query, or has no variables to page with; with
    the fixed variables, for one that neither they nor the paging fill."""
    fixed = None if variables is None else variables_of(variables)
    _Paging(query.strip() or QUERY, paging or "auto", fixed)


def _check_filled(left: Iterable[str]) -> None:
    names = ", ".join(f"${name}" for name in left)
    if names:
        raise InvalidInput(
            f"Nothing fills the query's {names}: give it a value in the variables. Pages are "
            "turned by $after with $first, or $offset with $limit."
        )


def _variables(query: str) -> dict[str, bool]:
    """Variable → whether it needs a value from outside."""
    try:
        parsed = parse(query, no_location=True)
    except GraphQLError as exc:
        raise InvalidInput(f"The query is not GraphQL: {exc.message}.") from exc
    operations = [d for d in parsed.definitions if isinstance(d, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].operation.value != "query":
        raise InvalidInput("The directory's query must be one GraphQL query, no mutation.")
    found: tuple[VariableDefinitionNode, ...] = operations[0].variable_definitions or ()
    return {one.variable.name.value: one.default_value is None for one in found}


def _one_of(known: tuple[str, ...], names: list[str]) -> str:
    return next((name for name in known if name in names), "")


def _one_back(cursor: object) -> str:
    """The cursor of the entry before, where it only counts entries, as those of graphql-relay,
    Graphene and Strawberry do, and PostGraphile's without an order; else ""."""
    try:
        found = _COUNTED.fullmatch(base64.b64decode(str(cursor), validate=True))
    except ValueError:
        return ""
    if found is None:
        return ""
    return base64.b64encode(b"%b%d%b" % (found[1], int(found[2]) - 1, found[3])).decode()


def _total_count(data: object, depth: int = 4) -> int | None:
    """The number of all beside a list of people, where the query asks for it: a server may give a
    first page of ten to who asks for no page at all."""
    if not isinstance(data, dict) or depth == 0:
        return None
    total = next((data[name] for name in _TOTALS if type(data.get(name)) is int), None)
    if total is not None and any(isinstance(value, list) for value in data.values()):
        return int(total)
    found = (_total_count(value, depth - 1) for value in data.values())
    return next((number for number in found if number is not None), None)


def _page_info(data: object, depth: int = 4) -> dict[str, Any] | None:
    if not isinstance(data, dict) or depth == 0:
        return None
    if isinstance(data.get("pageInfo"), dict):
        return dict(data["pageInfo"])
    return next(filter(None, (_page_info(value, depth - 1) for value in data.values())), None)
