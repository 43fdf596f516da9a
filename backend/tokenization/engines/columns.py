"""What every engine tells of columns in one way: samples, values, names that are not there."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backend.tokenization.detection import Detection
from backend.tokenization.schemas import ColumnReport, Sample, TableReport
from backend.tokenization.tokens import PREFIX, SUFFIX, Reversible, Scheme, Tokenizer, held

#: Values of a column shown before → after, and of how many characters at most.
SAMPLES_SHOWN = 5
SAMPLE_CHARACTERS = 400
_LONGEST_SHOWN = 32
_DOT = "•"


def samples(values: Iterable[str], tokenizer: Tokenizer) -> tuple[Sample, ...]:
    """Masked value → masked token; tokenizer: the column's own. A token that is to be made anew
    is shown as the value that it holds."""
    return tuple(
        Sample(mask_value(value), mask_token(tokenizer.token(value) or "", tokenizer.scheme))
        for value in (held(value) or value for value in values)
    )


def mask_value(value: str) -> str:
    """Letters and digits become dots; the first one stays when there are more than three."""
    letters = sum(character.isalnum() for character in value)
    shown = 1 if letters > 3 else 0
    masked = []
    for character in value[:_LONGEST_SHOWN]:
        if character.isalnum():
            masked.append(character if shown > 0 else _DOT)
            shown -= 1
        elif character.isprintable() and character.isascii():
            masked.append(character)
        else:
            masked.append(_DOT)
    return "".join(masked) + ("…" if len(value) > _LONGEST_SHOWN else "")


def mask_token(token: str, scheme: Scheme) -> str:
    """A keyed token says nothing about its value and is shown; a reversible one is hidden."""
    if scheme.keyed:
        return token
    return f"{PREFIX}{_DOT * 8}{SUFFIX} ({len(token)} characters)"


def left_alone(found: Reversible | None) -> tuple[str, ...]:
    """A column's warning about tokens that a re-key does not touch."""
    return (f"stay as they are: {found.left_alone}",) if found and found.left_alone else ()


def not_ours(
    held: Mapping[str, Collection[int]], tokenizer: Tokenizer
) -> dict[str, Collection[int]]:
    """`Reversible.sizes` by column without that of its own tokens, whose bytes may be text by
    chance; whether these are the ones computed is what a checksum says."""
    return {
        name: frozenset(sizes) - {tokenizer.scheme_of(name).bits // 8}
        for name, sizes in held.items()
    }


def said_of(found: Mapping[str, Reversible]) -> str:
    """The same for the columns of a run; "" when every token was made anew or is keyed."""
    return "; ".join(
        f"{name}: {each.left_alone}" for name, each in found.items() if each.left_alone
    )


def by_column(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[str]]:
    """The values of each column of a result, NULLs left out."""
    return {
        name: [str(row[place]) for row in rows if row[place] is not None]
        for place, name in enumerate(names)
    }


def reports(
    columns: Iterable[Any],
    detection: Detection,
    blockers: Callable[[Any], tuple[str, ...]],
    warnings: Callable[[Any], tuple[str, ...]] = lambda _column: (),
) -> tuple[ColumnReport, ...]:
    """Each column of the table, and a blocked one for each chosen name that it does not have.

    columns: facts with name, type, is_text, length (characters, None without a limit) and place.
    """
    found = tuple(
        ColumnReport(
            name=column.name,
            type=column.type,
            selected=column.name in detection.chosen,
            suggested=column.name not in detection.chosen and column.name in detection.suggested,
            reason=detection.chosen.get(column.name) or detection.suggested.get(column.name, ""),
            blockers=blockers(column) + _elsewhere(detection.places.get(column.name), column.place),
            warnings=warnings(column),
            place=column.place,
            length=column.length if column.is_text else None,
        )
        for column in columns
    )
    known = {column.name for column in found}
    blocker = "the table has no such column (names are case-sensitive)"
    return found + tuple(
        ColumnReport(name, "", True, reason, (blocker,))
        for name, reason in detection.chosen.items()
        if name not in known
    )


def _elsewhere(asked: str | None, now: str) -> tuple[str, ...]:
    """A name alone is no proof: a table can be made anew, and columns can exchange their names."""
    if not asked or not now or asked == now:
        return ()
    return (
        "it is not the column that the run was asked for: the table was made anew or altered, or "
        "the name was given to another one; preview it again",
    )


#: Of some columns: rows of the table, rows that a run changes, and how a column's report goes on.
Measured = tuple[int, int, Callable[[ColumnReport], ColumnReport]]


def measured(
    report: TableReport, count_rows: Callable[[], int], measure: Callable[[list[str]], Measured]
) -> TableReport:
    """The report with counts and samples of the selected columns that nothing blocks."""
    names = [column.name for column in report.columns if column.selected and not column.blockers]
    if not names:
        changing = None if report.all_blockers else 0
        return replace(report, rows_total=count_rows(), rows_to_update=changing)
    total, changing, described = measure(names)
    columns = tuple(
        described(column) if column.name in names else column for column in report.columns
    )
    found = replace(report, columns=columns, rows_total=total)
    return replace(found, rows_to_update=None if found.all_blockers else changing)
