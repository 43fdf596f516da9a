"""The rules of one source, indexed: looking up a dataset never walks the rules.

Exact and tag rules are dictionaries. Prefixes are a dictionary too, plus the set of their lengths:
a URN has at most 512 prefixes, so 10,000 rules cost no more than ten.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from backend.core.errors import InvalidInput
from backend.ingestion.targets import Target
from backend.integrations.datahub import urns

RuleKind = Literal["exact", "tag", "prefix", "default"]
Source = Literal["portal", "env", "file", "job"]
Invocation = Literal["async", "sync"]
INVOCATIONS: tuple[Invocation, ...] = ("async", "sync")
RULE_KINDS: tuple[RuleKind, ...] = ("exact", "tag", "prefix", "default")

_TAG = "urn:li:tag:"
_DATASET = "urn:li:dataset:("
PLATFORM = "urn:li:dataset:(urn:li:dataPlatform:"


class BadRule(InvalidInput):
    """A mapping rule that can never mean anything."""


@dataclass(frozen=True)
class Rule:
    """One mapping rule. pattern: dataset URN, tag URN, prefix of a URN or of a dataset's name.

    invocation: sync holds a Lambda call until the function has ended, whose answer is the truth.
    problem: why its target cannot be used; whoever it answers for is refused with that.
    """

    kind: RuleKind
    pattern: str
    target: Target
    source: Source
    problem: str = ""
    invocation: Invocation = "async"


def invocation(value: object, target: Target) -> Invocation:
    """How the target is called. Raises BadRule."""
    if value not in INVOCATIONS:
        raise BadRule(f"{value!r} is no invocation: {' or '.join(INVOCATIONS)}.")
    if value == "sync" and target.kind != "lambda":
        raise BadRule("Only a Lambda function can be called with invocation sync.")
    # mypy: one of INVOCATIONS
    return value  # type: ignore[return-value]


def normalise(kind: RuleKind, pattern: str) -> str:
    """The pattern as it is stored and compared. Raises BadRule for one that can never match."""
    text = pattern.strip()
    if kind == "default":
        return ""
    if kind == "exact":
        urns.parse_dataset(text)
        return text
    if kind == "tag":
        name = text if text.startswith(_TAG) else f"{_TAG}{text}"
        if name == _TAG or not urns.is_valid(name):
            raise BadRule(
                f"{pattern!r} is not a tag. Write layer/source or urn:li:tag:layer/source."
            )
        return name
    return _prefix(text)


def _prefix(text: str) -> str:
    prefix = text.removesuffix("*")
    if not prefix:
        raise BadRule("An empty prefix matches everything; make it the default instead.")
    if prefix.startswith("urn:") and not (
        prefix.startswith(PLATFORM) or PLATFORM.startswith(prefix)
    ):
        raise BadRule(
            f"{text!r} matches no dataset URN; they start with {PLATFORM}<platform>,<name>."
        )
    return prefix


@dataclass
class RuleSet:
    """All rules of one source, indexed once, read many times."""

    source: Source
    exact: dict[str, Rule] = field(default_factory=dict)
    tags: dict[str, Rule] = field(default_factory=dict)
    prefixes: dict[str, Rule] = field(default_factory=dict)
    default: Rule | None = None
    lengths: tuple[int, ...] = ()

    @classmethod
    def of(cls, source: Source, rules: Iterable[Rule]) -> "RuleSet":
        built = cls(source)
        for rule in rules:
            built._add(rule)
        built.lengths = tuple(sorted({len(prefix) for prefix in built.prefixes}, reverse=True))
        return built

    def _add(self, rule: Rule) -> None:
        if rule.kind == "exact":
            self.exact[rule.pattern] = rule
        elif rule.kind == "tag":
            self.tags[rule.pattern] = rule
        elif rule.kind == "prefix":
            self.prefixes[rule.pattern] = rule
        else:
            self.default = rule

    def __iter__(self) -> Iterator[Rule]:
        yield from self.exact.values()
        yield from self.tags.values()
        yield from self.prefixes.values()
        if self.default is not None:
            yield self.default

    def __len__(self) -> int:
        count = len(self.exact) + len(self.tags) + len(self.prefixes)
        return count + (self.default is not None)

    def matching_prefixes(self, urn: str, name: str) -> list[tuple[int, Rule]]:
        """Prefix rules that match, each with how many letters of the dataset's name it covers."""
        offset = urn.index(",") + 1
        found = []
        for length in self.lengths:
            by_urn = self.prefixes.get(urn[:length]) if length <= len(urn) else None
            if by_urn is not None and by_urn.pattern.startswith("urn:"):
                found.append((max(0, length - offset), by_urn))
            by_name = self.prefixes.get(name[:length]) if length <= len(name) else None
            if by_name is not None:
                found.append((length, by_name))
        return found


def merged_prefixes(sets: Sequence[RuleSet], urn: str, name: str) -> list[Rule]:
    """Matching prefix rules of all sources, longest first; at equal length the earlier source."""
    found: list[tuple[int, bool, int, Rule]] = []
    for position, rules in enumerate(sets):
        for covered, rule in rules.matching_prefixes(urn, name):
            found.append((-covered, not rule.pattern.startswith("urn:"), position, rule))
    return [rule for *_key, rule in sorted(found, key=lambda item: item[:3])]
