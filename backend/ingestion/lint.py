"""Rules that never answer: shadowed by an equal one that is asked earlier, or dead."""

from backend.ingestion.ruleset import PLATFORM, Rule, RuleKind, RuleSet, Source
from backend.ingestion.run_context import RunContext

Key = tuple[Source, RuleKind, str]
_NAMES = {"portal": "the portal's mapping", "env": "the environment variable", "file": "the file"}


def remarks(context: RunContext) -> dict[Key, str]:
    """Why a rule never answers, for those that never do."""
    found: dict[Key, str] = {}
    for position, rules in enumerate(context.sources):
        earlier = context.sources[:position]
        for rule in rules:
            text = rule.problem or _shadowed(rule, earlier) or _dead(rule, context)
            if text:
                found[(rule.source, rule.kind, rule.pattern)] = text
    return found


def _shadowed(rule: Rule, earlier: tuple[RuleSet, ...]) -> str:
    for rules in earlier:
        same: Rule | None
        if rule.kind == "default":
            same = rules.default
        else:
            table = {"exact": rules.exact, "tag": rules.tags, "prefix": rules.prefixes}[rule.kind]
            same = table.get(rule.pattern)
        if same is not None:
            return f"Shadowed: {_NAMES[rules.source]} has the same rule and is asked first."
    return ""


def _dead(rule: Rule, context: RunContext) -> str:
    if rule.kind == "tag" and context.datahub is None:
        return "Dead: tags are read from DataHub, and this environment has no DataHub connection."
    if rule.kind == "prefix" and "," in rule.pattern and not rule.pattern.startswith("urn:"):
        # Usually the middle of a URN: it looks like "all of a platform", and answers nothing.
        return (
            "Looks dead: it answers only for datasets with a comma in their name. For all of a "
            f"platform begin with {PLATFORM}{rule.pattern.partition(',')[0]},"
        )
    return ""
