"""What a directory connection's settings have to be, by the adapter's own readers.

They are imported when something was typed: the adapter brings GraphQL and JMESPath with it.
"""

from collections.abc import Mapping

from backend.core.errors import FieldInvalid, InvalidInput


def headers(text: str) -> str:
    """Lines of "Name: value"."""
    from backend.integrations.directory.source import headers_of

    headers_of(text)
    return text


def variables(text: str) -> str:
    """A JSON object."""
    from backend.integrations.directory.source import variables_of

    variables_of(text)
    return text


def mapping(text: str) -> str:
    """A JMESPath expression."""
    from backend.integrations.directory.source import Mapper

    Mapper(text)
    return text


def query(text: str) -> str:
    """One GraphQL query."""
    from backend.integrations.directory.graphql import check_query

    check_query(text)
    return text


def fit(settings: Mapping[str, str], _secrets_set: frozenset[str]) -> None:
    """Raise FieldInvalid without an endpoint, and for paging that the query cannot do."""
    source = settings.get("source", "")
    if source != "upload" and not settings.get("endpoint"):
        raise FieldInvalid({"endpoint": "Directory needs endpoint."})
    if source in ("", "graphql"):
        from backend.integrations.directory.graphql import check_query

        paging = settings.get("paging", "")
        try:
            check_query(settings.get("query", ""), paging, settings.get("variables", ""))
        except InvalidInput as exc:
            named = "query" if paging in ("", "auto") else "paging"
            raise FieldInvalid({named: f"Directory: {exc.message}"}) from exc
