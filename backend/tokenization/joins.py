"""What a column's scheme means: how strong its tokens are, and where equal values stop joining."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from backend.models import TokenizationRun
from backend.tokenization import repository
from backend.tokenization.schemas import ColumnReport, TableReport
from backend.tokenization.tokens import PREFIX, Scheme, Tokenizer, collisions, fitting

#: Columns of other datasets that one sentence names.
_SHOWN = 3


def explained(
    report: TableReport, tokenizer: Tokenizer, dataset: str, earlier: Sequence[TokenizationRun]
) -> TableReport:
    """The report with each column's scheme, what fits it, and warnings about both.

    earlier: the newest successful run of each dataset of the environment.
    """
    rows = report.rows_total or 0
    columns = tuple(
        _column(column, tokenizer.scheme_of(column.name), rows, dataset, earlier)
        for column in report.columns
    )
    return replace(report, columns=columns, warnings=report.warnings + _within(columns))


def _column(
    column: ColumnReport,
    scheme: Scheme,
    rows: int,
    dataset: str,
    earlier: Sequence[TokenizationRun],
) -> ColumnReport:
    fits = fitting(column.length)
    warnings = (*_strength(scheme, rows), *_before(column.name, scheme, dataset, earlier))
    return replace(
        column,
        scheme=scheme.value,
        fits=fits.value if fits else "",
        warnings=column.warnings + warnings,
    )


def _strength(scheme: Scheme, rows: int) -> Iterator[str]:
    if scheme.keyed and scheme is not Scheme.HMAC_SHA256:
        values = max(rows, 1_000_000)
        yield (
            f"{scheme.value} keeps {scheme.bits} of the HMAC's 256 bits: that two of {values:,} "
            f"different values share a token has odds of {collisions(scheme, values)}"
        )


def _before(
    name: str, scheme: Scheme, dataset: str, earlier: Sequence[TokenizationRun]
) -> Iterator[str]:
    """Where tokens of another scheme lie already that equal values would no longer equal."""
    elsewhere: dict[Scheme, list[str]] = {}
    for run in earlier:
        for choice in repository.choices(run):
            if choice.name.casefold() != name.casefold() or choice.scheme == scheme:
                continue
            other = Scheme(choice.scheme)
            if run.dataset == dataset:
                yield (
                    f"run {run.id} gave this column {other.value} tokens, which stay; values "
                    f"entered since get {scheme.value} ones, so {_by_prefix(scheme, other)}"
                )
            else:
                elsewhere.setdefault(other, []).append(f"{run.source_table}.{choice.name}")
    for other, columns in elsewhere.items():
        named = ", ".join(columns[:_SHOWN]) + (", …" if len(columns) > _SHOWN else "")
        yield f"{named} holds {other.value} tokens: {_by_prefix(scheme, other)}"


def _within(columns: Sequence[ColumnReport]) -> tuple[str, ...]:
    """A sentence when the columns of one run get tokens of different lengths."""
    used = {Scheme(column.scheme) for column in columns if column.selected}
    if len(used) < 2:
        return ()
    shortest = min(used, key=lambda scheme: scheme.body_length)
    return (
        "The columns of this run get tokens of different lengths: between them, "
        f"{_by_prefix(shortest, shortest)}.",
    )


def _by_prefix(one: Scheme, other: Scheme) -> str:
    if not (one.keyed and other.keyed):
        return "equal values are not equal any more and cannot be joined"
    length = len(PREFIX) + min(one.body_length, other.body_length)
    return (
        "equal values are not equal any more; their first "
        f"{length} characters still are: join on left(…, {length})"
    )
