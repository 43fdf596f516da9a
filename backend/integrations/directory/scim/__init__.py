"""A SCIM 2.0 directory (RFC 7644): GET /Users by startIndex and count."""

from collections.abc import Iterator
from typing import Any

import httpx

from backend.core.errors import UpstreamError
from backend.integrations.directory.errors import (
    SYSTEM,
    Forbidden,
    ListMoved,
    NotGraphQL,
    PartialAnswer,
    TokenRefused,
)
from backend.integrations.directory.exchange import Exchange, cut_off, document, unavailable
from backend.integrations.directory.source import Mapper, Options, Page, repeated

#: Okta's and Entra's shape; people who are switched off (`active` false, by some as a text) have
#: left. Where no address is the primary one, the one at work comes before one at home.
MAPPING = (
    "Resources[?active != `false` && active != 'false' && active != 'False'].{"
    "email: (emails[?primary].value | [0]) || (emails[?type == 'work'].value | [0]) "
    "|| emails[0].value || userName, "
    "displayName: displayName || name.formatted, "
    'domain: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User".department}'
)


class ScimSource:
    """See `source.Source`. Paging is SCIM's own; query, variables and paging are not used."""

    def __init__(self, exchange: Exchange, options: Options) -> None:
        if not exchange.endpoint.split("?")[0].rstrip("/").endswith("/Users"):
            exchange.endpoint = exchange.endpoint.rstrip("/") + "/Users"
        self._exchange = exchange
        self._size = options.page_size
        self._map = Mapper(options.mapping.strip() or MAPPING).people

    def pages(self, most: int | None = None) -> Iterator[Page]:
        """A page begins with the last entry of the one before, up to the page that holds nothing
        else: totalResults may be that of one page, or more than there is.

        Raises PartialAnswer when the list ends before its totalResults or shrank meanwhile,
        ListMoved when a page does not go on where the one before it ended: by number somebody is
        passed over then. UpstreamError for the same page again; one that counts in whole pages is
        asked where the next begins. There, and where a page holds one person, the page before is
        read once more after each.
        """
        size, most_told, rounds = min(self._size, most or self._size), 0, False
        start, at, seen, overlaps, before = 1, 1, 0, False, list[object]()
        with self._exchange.session() as client:
            while True:
                whole = 0 < most_told <= seen
                answer = self._ask(client, start, size, beyond=whole and not overlaps)
                found, total = answer["Resources"], answer["totalResults"]
                given = [_who(each) for each in found]
                if given and given == before:
                    if whole:
                        return  # it knows no pages: everybody was in the first
                    if overlaps:
                        rounds, overlaps, start = True, False, start + 1
                        continue
                    raise UpstreamError(
                        SYSTEM, "it answers the same page again and again", "Check the paging."
                    )
                if total < most_told and start <= most_told:
                    raise PartialAnswer(f"of {most_told} people {total} were left meanwhile")
                known = repeated(given, before) if overlaps else 0
                if known is None or not (overlaps or self._stands(client, at, size, before)):
                    raise ListMoved
                at, before, seen = start, given, start - 1 + len(found)
                if len(before) == known and seen < total:
                    raise PartialAnswer(f"the list ended after {seen} of {total} people")
                most_told = max(most_told, total)
                del found[:known]
                yield Page(self._map(answer), more=seen < total)
                if not found:
                    return
                overlaps = len(before) > 1 and not rounds
                start = seen + 1 - overlaps

    def _stands(self, client: httpx.Client, at: int, size: int, before: list[object]) -> bool:
        """Whether the page read before is still as it was."""
        if not before:
            return True
        return [_who(r) for r in self._ask(client, at, size, beyond=False)["Resources"]] == before

    def _ask(self, client: httpx.Client, start: int, size: int, *, beyond: bool) -> dict[str, Any]:
        """beyond: behind the end that the server told of; some refuse such a question."""
        status, raw, _ = self._exchange.ask(
            client,
            "GET",
            params={"startIndex": str(start), "count": str(size)},
            headers={"Accept": "application/scim+json, application/json"},
        )
        answer = document(raw)
        if beyond and status in (400, 404, 416):
            return {"totalResults": 0, "Resources": []}
        if status >= 400:
            raise _refusal(status, str((answer or {}).get("detail") or "")[:200].rstrip("."))
        total = (answer or {}).get("totalResults")
        if answer is None or isinstance(total, bool) or not isinstance(total, int):
            no_answer = NotGraphQL(f"{self._exchange.endpoint} does not answer SCIM 2.0")
            raise cut_off(raw) or no_answer
        if not isinstance(answer.setdefault("Resources", []), list):
            raise PartialAnswer("Resources is not a list")
        return answer


def _who(resource: object) -> object:
    """What tells a person from another: their id (RFC 7643, section 3.1), or all there is of them.
    The rest may differ from answer to answer, as a picture's signed address does."""
    return (resource.get("id") if isinstance(resource, dict) else None) or resource


def _refusal(status: int, said: str) -> UpstreamError:
    if status == 401:
        return TokenRefused(status, said)
    if status == 403:
        return Forbidden(said or "HTTP 403")
    known = unavailable(status)
    if known is not None:
        return known
    if status in (404, 405):
        return NotGraphQL(f"there is no SCIM endpoint at this address (HTTP {status})")
    return UpstreamError(SYSTEM, f"HTTP {status} {said}".strip(), "Look at the directory's log.")
