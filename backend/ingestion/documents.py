"""Mapping documents: what a JSON or YAML mapping may look like, read and written in one place.

The seed's flat form, dataset URN to function name, and our sections:

    exact:    {<dataset URN>: <target>}
    tags:     {layer/source: <target>}
    prefixes: {AwsDataCatalog.financial_data.: <target>}
    default:  <target>

A target is a function's name or ARN, a state machine's ARN, or {kind?, name, invocation?}, where
invocation is async (the default) or sync. A blank one is as good
as no entry: the next rule is asked. In the flat form a
key `urn:li:tag:…` is a tag, a key that ends in `*` a prefix, and `default` (or `*`) the default.
"""

import json
from collections.abc import Iterable
from typing import Any

from backend.core.errors import InvalidInput
from backend.ingestion import targets
from backend.ingestion.ruleset import BadRule, Rule, RuleKind, Source, invocation, normalise
from backend.ingestion.targets import BadTarget, Target

MAX_RULES = 20_000
MAX_BYTES = 5_000_000

_SECTIONS: dict[str, RuleKind] = {
    "exact": "exact",
    "datasets": "exact",
    "tags": "tag",
    "tag": "tag",
    "prefixes": "prefix",
    "prefix": "prefix",
}


def parse_json(text: str, source: Source) -> list[Rule]:
    """Rules of a JSON document. Raises InvalidInput saying what is wrong and where.

    A target that cannot be used does not spoil the document: its rule has a `problem`.
    """
    try:
        document = json.loads(text, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as exc:
        raise InvalidInput(f"not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}") from exc
    except RecursionError as exc:
        raise InvalidInput("not JSON: nested too deeply") from exc
    except ValueError as exc:  # a number of more digits than Python reads
        raise InvalidInput(f"not JSON that can be read: {exc}") from exc
    return read(document, source)


def parse_yaml(text: str, source: Source) -> list[Rule]:
    """Rules of a YAML (or JSON) document, as `parse_json` gives them."""
    import yaml

    try:
        document = yaml.load(text, Loader=_loader())  # noqa: S506 - a SafeLoader that counts keys
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        what = getattr(exc, "problem", None) or "cannot be parsed"
        raise InvalidInput(f"not YAML: {what}{where}") from exc
    except RecursionError as exc:
        raise InvalidInput("not YAML: nested too deeply") from exc
    except ValueError as exc:  # a date of no month, a number of more digits than Python reads
        raise InvalidInput(f"not YAML that can be read: {exc}") from exc
    return read(document, source)


def read(document: Any, source: Source) -> list[Rule]:
    """Rules of a parsed document. Raises InvalidInput naming the entry."""
    if document is None:
        return []
    if not isinstance(document, dict):
        raise InvalidInput("a mapping is an object: dataset URN to target, or sections")
    rules: list[Rule] = []
    for key, value in document.items():
        if key in _SECTIONS and isinstance(value, dict) and "name" not in value:
            kind = _SECTIONS[key]
            rules += [_rule(kind, k, v, source) for k, v in value.items() if not _blank(v)]
        elif _blank(value):
            continue
        else:
            kind, pattern = _flat(str(key))
            rules.append(_rule(kind, pattern, value, source))
    if len(rules) > MAX_RULES:
        raise InvalidInput(f"{len(rules):,} rules; at most {MAX_RULES:,} are taken")
    return rules


def write(rules: Iterable[Rule]) -> dict[str, Any]:
    """The sections of these rules, ready for JSON or YAML."""
    document: dict[str, Any] = {"exact": {}, "tags": {}, "prefixes": {}}
    names = {"exact": "exact", "tag": "tags", "prefix": "prefixes"}
    for rule in sorted(rules, key=lambda item: (item.kind, item.pattern)):
        if rule.kind == "default":
            document["default"] = _written(rule)
        else:
            document[names[rule.kind]][rule.pattern] = _written(rule)
    return {key: value for key, value in document.items() if value}


def _written(rule: Rule) -> Any:
    if rule.invocation == "async":
        return rule.target.name
    return {"name": rule.target.name, "invocation": rule.invocation}


def to_json(rules: Iterable[Rule]) -> str:
    return json.dumps(write(rules), indent=2, ensure_ascii=False) + "\n"


def to_yaml(rules: Iterable[Rule]) -> str:
    import yaml

    return str(yaml.safe_dump(write(rules), sort_keys=False, allow_unicode=True, width=1000))


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _flat(key: str) -> tuple[RuleKind, str]:
    if key in ("default", "*"):
        return "default", ""
    if key.startswith("urn:li:tag:"):
        return "tag", key
    if key.endswith("*"):
        return "prefix", key
    return "exact", key


def _rule(kind: RuleKind, pattern: Any, value: Any, source: Source) -> Rule:
    if not isinstance(pattern, str):
        raise InvalidInput(f"the key {pattern!r} is not a text")
    try:
        wanted = normalise(kind, pattern)
    except InvalidInput as exc:
        raise InvalidInput(f"the entry {pattern!r}: {exc.message}") from exc
    try:
        target = targets.read(value)
        called = value.get("invocation", "async") if isinstance(value, dict) else "async"
        return Rule(kind, wanted, target, source, "", invocation(called, target))
    except BadRule as exc:
        raise InvalidInput(f"the entry {pattern!r}: {exc.message}") from exc
    except BadTarget as exc:
        problem = f"the entry {pattern!r}: {exc.message}"
        return Rule(kind, wanted, Target("lambda", exc.target), source, problem)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise InvalidInput(f"the key {key!r} stands there twice")
        seen[key] = value
    return seen


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that stands there twice, and anchors (they can grow without end)."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise InvalidInput("not YAML we read: anchors and aliases are not taken")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            pairs = [(self.construct_object(key, deep=True), key) for key, _ in node.value]
            seen: set[str] = set()
            for key, _where in pairs:
                if str(key) in seen:
                    raise InvalidInput(f"the key {key!r} stands there twice")
                seen.add(str(key))
            return super().construct_mapping(node, deep)

    return Loader
