"""What a search hands out."""

from typing import Literal

from backend.core.views import View

Kind = Literal["connection", "dataset", "user", "host", "run", "change", "account"]


class Hit(View):
    """One thing that was found. page: the portal's page that shows it ("ingestion"), with `query`.

    title: its name as it is stored; detail: what tells it from others of the name.
    """

    kind: Kind
    title: str
    detail: str
    page: str
    query: dict[str, str]


class Hits(View):
    """Kind by kind, the newest first within each; never all there is."""

    items: list[Hit]
