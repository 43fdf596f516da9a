"""Which columns a run takes: named ones, else tagged ones; guesses are only ever suggested."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backend.core.errors import InvalidInput, NotFound, PortalError, UpstreamError
from backend.integrations.datahub.schemas import Dataset
from backend.tokenization import patterns as rules
from backend.tokenization import tags
from backend.tokenization.patterns import Patterns
from backend.tokenization.schemas import ColumnChoice
from backend.tokenization.sources import Source, datahub_client

CHOSEN = "chosen by name"
#: As many as a PostgreSQL table can have.
MAX_COLUMNS = 1_600
MAX_NAME = 255
_VERSIONED = re.compile(r"^\[version=[^\]]*\]\.|\[(?:type|key)=[^\]]*\]\.?")


@dataclass(frozen=True)
class CatalogView:
    """What DataHub says. dataset None: not connected, not reachable, or not known there.

    note: one sentence, "" when all is well. problem: the error behind it, if it was one.
    """

    dataset: Dataset | None = None
    note: str = ""
    problem: PortalError | None = None


@dataclass(frozen=True)
class Detection:
    """Columns with their reasons; `suggested` (likely) and `possible` need a person's tick.
    places: where the chosen ones were when the run was asked for, as `ColumnChoice` keeps it."""

    chosen: Mapping[str, str] = field(default_factory=dict)
    suggested: Mapping[str, str] = field(default_factory=dict)
    possible: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, choices: Sequence[ColumnChoice]) -> "Detection":
        """What a run was asked to take."""
        return cls(
            chosen={choice.name: choice.reason for choice in choices},
            places={choice.name: choice.place for choice in choices},
        )


def look_up(source: Source) -> CatalogView:
    """The dataset in DataHub; never raises for what DataHub does."""
    if source.datahub is None:
        return CatalogView(
            note=f"The environment {source.environment.name} has no DataHub connection: tags are "
            "not read, and nothing is written back."
        )
    try:
        with datahub_client(source.datahub) as client:
            return CatalogView(client.dataset(source.dataset))
    except NotFound as exc:
        return CatalogView(note="DataHub does not know this dataset; ingest it first.", problem=exc)
    except UpstreamError as exc:
        return CatalogView(note=exc.message, problem=exc)


def tagged_columns(dataset: Dataset, patterns: Patterns) -> dict[str, str]:
    """Columns whose field carries a tag or glossary term for personal data, with the reason."""
    found = {}
    for path, field_tags in dataset.field_tags.items():
        personal = [
            tag.removeprefix(tags.PREFIX) for tag in field_tags if patterns.is_personal(tag)
        ]
        if personal:
            found[column_of(path)] = f"tagged {', '.join(personal)} in DataHub"
    for path, terms in dataset.field_terms.items():
        named = [rules.term_name(term) for term in terms if patterns.is_personal_term(term)]
        if named:
            found.setdefault(column_of(path), f"glossary term {', '.join(named)} in DataHub")
    return found


def column_of(field_path: str) -> str:
    """The column of a DataHub field path, which may carry version and type annotations."""
    return _VERSIONED.sub("", field_path)


def check_names(columns: Sequence[str]) -> None:
    """Raise InvalidInput for what can be no column's name; whether it is one the table says."""
    if len(columns) > MAX_COLUMNS:
        raise InvalidInput(f"At most {MAX_COLUMNS} columns can be named.")
    for name in columns:
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidInput(f"{name!r} cannot be the name of a column.")


def choose(
    columns: Sequence[str] | None, dataset: Dataset | None, patterns: Patterns
) -> dict[str, str]:
    """The columns a run takes without a person at hand; may be empty."""
    if columns is not None:
        return dict.fromkeys(columns, CHOSEN)
    return tagged_columns(dataset, patterns) if dataset is not None else {}


def detect(
    columns: Sequence[str] | None,
    dataset: Dataset | None,
    patterns: Patterns,
    values: Mapping[str, Sequence[str]],
    table: str = "",
) -> Detection:
    """Choices as `choose` makes them, and guesses for the other columns of the table.

    values: sampled plain values by column; columns that are missing there are not guessed about.
    """
    chosen = choose(columns, dataset, patterns)
    suggested = tagged_columns(dataset, patterns) if dataset is not None else {}
    possible: dict[str, str] = {}
    for column, sampled in values.items():
        guess = rules.guess(patterns, column, sampled, table)
        if guess is not None:
            (suggested if guess.convincing else possible).setdefault(column, guess.reason)
    why = {**possible, **suggested}
    chosen = {
        name: f"{reason}; {why[name]}" if reason == CHOSEN and name in why else reason
        for name, reason in chosen.items()
    }
    return Detection(
        chosen,
        {name: reason for name, reason in suggested.items() if name not in chosen},
        {k: v for k, v in possible.items() if k not in chosen and k not in suggested},
    )
