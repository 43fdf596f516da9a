"""Search over REST."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import Caller, Reader
from backend.search import service
from backend.search.schemas import Hits

router = APIRouter(tags=["search"])


@router.get("/search")
def find(
    session: Reader,
    caller: Caller,
    text: Annotated[str, Query(max_length=service.MAX_TEXT)] = "",
) -> Hits:
    """What this token may read and whose name holds `text`: datasets, people, hosts, connections,
    runs, changes, accounts; a few of each. Nothing for a single letter."""
    return service.find(session, caller, text=text)
