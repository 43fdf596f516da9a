"""What services hand out: the same frozen model for page, command line and REST."""

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """Made from keywords or, with `model_validate`, from a row. `model_dump(mode="json")` is its
    JSON document: times in UTC with a Z."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Document(View):
    """An answer that may carry more keys than are named here."""

    model_config = ConfigDict(extra="allow")
