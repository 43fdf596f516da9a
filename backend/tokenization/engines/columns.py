"""What every engine tells of columns in one way: samples, values, names that are not there."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from backend.tokenization.detection import Detection
from backend.tokenization.masking import mask_token, mask_value
from backend.tokenization.schemas import ColumnReport, Sample
from backend.tokenization.tokens import Tokenizer

#: Values of a column shown before → after, and of how many characters at most.
SAMPLES_SHOWN = 5
SAMPLE_CHARACTERS = 400


def samples(values: Iterable[str], tokenizer: Tokenizer) -> tuple[Sample, ...]:
    """Masked value → masked token; tokenizer: the column's own."""
    return tuple(
        Sample(mask_value(value), mask_token(tokenizer.token(value) or "", tokenizer.scheme))
        for value in values
    )


def by_column(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[str]]:
    """The values of each column of a result, NULLs left out."""
    return {
        name: [str(row[place]) for row in rows if row[place] is not None]
        for place, name in enumerate(names)
    }


def not_there(detection: Detection, known: Collection[str]) -> tuple[ColumnReport, ...]:
    """A blocked report for each chosen column that the table does not have."""
    blocker = "the table has no such column (names are case-sensitive)"
    return tuple(
        ColumnReport(name, "", True, reason, (blocker,))
        for name, reason in detection.chosen.items()
        if name not in known
    )
