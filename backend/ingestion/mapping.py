"""The mapping kept in the portal: look, change, import, export; every change moves its revision."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from backend.connections import resolve as connections
from backend.connections.schemas import EnvironmentView
from backend.core import access, audit, choices, clock
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import Conflict, InvalidInput
from backend.core.views import of_row
from backend.ingestion import documents, repository, ruleset, run_context, targets
from backend.ingestion.errors import RuleNotFound
from backend.ingestion.ruleset import (
    PLATFORM,
    RULE_KINDS,
    Invocation,
    Rule,
    RuleKind,
    RuleSet,
    Source,
    normalise,
)
from backend.ingestion.run_context import RunContext
from backend.ingestion.schemas import MappingView, RuleView
from backend.ingestion.targets import Target
from backend.models.ingestion import IngestionRule

WRITE = Permission.INGESTION_MAPPING_WRITE
MAX_LISTED = 500

Format = Literal["json", "yaml"]


@dataclass(frozen=True)
class Change:
    """What an import did."""

    added: int
    changed: int
    removed: int
    unchanged: int
    revision: int


def view(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    text: str = "",
    kind: str = "",
    limit: int = 100,
    offset: int = 0,
) -> MappingView:
    """Rules of all three sources, the portal's a page at a time, with remarks on useless ones."""
    access.require(actor, Permission.INGESTION_MAPPING_READ)
    context = run_context.load(session, environment)
    limit = max(1, min(limit, MAX_LISTED))
    rows, total = repository.list_rules(
        session, context.environment_id, text=text, kind=kind, limit=limit, offset=offset
    )
    remarks = _remarks(context)
    shown = [_view(row) for row in rows]
    for rules in (context.static.env, context.static.file):
        wanted = [rule for rule in rules if _matches(rule, text, kind)]
        total += len(wanted)
        shown += [
            RuleView(
                0, rule.kind, rule.pattern, rule.target, rule.source, invocation=rule.invocation
            )
            for rule in wanted[: limit - len(shown) if len(shown) < limit else 0]
        ]
    return MappingView(
        environment=context.environment,
        revision=repository.revision(session, context.environment_id),
        rules=tuple(
            replace(rule, remark=remarks.get((rule.source, rule.kind, rule.pattern), ""))
            for rule in shown
        ),
        total=total,
        problems=context.static.problems,
        warnings=context.static.warnings,
    )


def put(
    session: WriteSession,
    actor: Actor,
    *,
    kind: RuleKind,
    pattern: str,
    target: str,
    invocation: Invocation = "async",
    note: str = "",
    environment: str | None = None,
    rule_id: int | None = None,
    revision: int | None = None,
) -> RuleView:
    """Add a rule, or change the one with `rule_id`; a rule of the same pattern is replaced.

    revision: the one the person saw; None: no check. Raises BadRule, BadTarget, RuleNotFound, and
    Conflict when somebody else has changed the mapping.
    """
    access.require(actor, WRITE)
    choices.check("kind of rule", kind, RULE_KINDS)
    if len(note) > 300:
        raise InvalidInput("The note has more than 300 characters.")
    where = connections.environment(session, environment)
    wanted = normalise(kind, pattern)
    aim = targets.parse(target)
    called = ruleset.invocation(invocation, aim)
    _moved(session, actor, where, revision)
    row = repository.find_rule_by_pattern(session, where.id, kind, wanted)
    if rule_id is not None:
        edited = repository.find_rule(session, where.id, rule_id)
        if edited is None:
            raise RuleNotFound(rule_id)
        if row is not None and row.id != edited.id:
            raise Conflict(f"Another rule has the pattern {wanted!r} already; edit that one.")
        row = edited
    before = _document(row) if row is not None else None
    if row is None:
        row = IngestionRule(environment_id=where.id)
        session.add(row)
    row.kind, row.pattern = kind, wanted
    row.target_kind, row.target = aim.kind, aim.name
    row.invocation = called
    row.note, row.problem, row.checked_at = note.strip(), "", None
    row.updated_at, row.updated_by = clock.now(), actor.name
    session.flush()
    _record(session, actor, where, "put", {"before": before, "after": _document(row)})
    return _view(row)


def remove(
    session: WriteSession,
    actor: Actor,
    *,
    rule_id: int,
    environment: str | None = None,
    revision: int | None = None,
) -> None:
    """Remove a rule. Raises RuleNotFound, Conflict."""
    access.require(actor, WRITE)
    where = connections.environment(session, environment)
    _moved(session, actor, where, revision)
    row = repository.find_rule(session, where.id, rule_id)
    if row is None:
        raise RuleNotFound(rule_id)
    before = _document(row)
    session.delete(row)
    session.flush()
    _record(session, actor, where, "remove", {"before": before})


def import_text(
    session: WriteSession,
    actor: Actor,
    *,
    text: str,
    replace_all: bool,
    environment: str | None = None,
) -> Change:
    """Take the rules of a JSON or YAML document.

    replace_all: rules that the document does not name are removed. Notes of kept rules stay only
    when their target does. Raises InvalidInput naming the wrong entry; then nothing changes.
    """
    access.require(actor, WRITE)
    if len(text.encode()) > documents.MAX_BYTES:
        raise InvalidInput(f"The document is larger than {documents.MAX_BYTES:,} bytes.")
    rules = documents.parse_yaml(text, "portal")
    wrong = [rule.problem for rule in rules if rule.problem]
    if wrong:
        raise InvalidInput("; ".join(wrong[:5]))
    given = {(rule.kind, rule.pattern): rule for rule in rules}
    if not given and not replace_all:
        raise InvalidInput("The document names no rule.")
    where = connections.environment(session, environment)
    revision = _moved(session, actor, where, None)
    kept = {(r.kind, r.pattern): r for r in repository.load_rules(session, where.id)}
    changed = [key for key in given if key in kept and _moved_to(given[key], kept[key])]
    added = [key for key in given if key not in kept]
    removed = [key for key in kept if key not in given] if replace_all else []
    for kind, patterns in _by_kind([*changed, *removed]).items():
        repository.delete_rules(session, where.id, kind, patterns)
    written = [given[key] for key in (*changed, *added)]
    repository.insert_rules(session, where.id, written, actor.name)
    change = Change(
        len(added),
        len(changed),
        len(removed),
        len(given) - len(added) - len(changed),
        revision,
    )
    _record(
        session,
        actor,
        where,
        "import",
        {"added": change.added, "changed": change.changed, "removed": change.removed},
    )
    return change


def export_text(
    session: ReadSession, actor: Actor, *, format: Format, environment: str | None = None
) -> str:
    """The portal's rules as a document that `import_text` takes."""
    access.require(actor, Permission.INGESTION_MAPPING_READ)
    where = connections.environment(session, environment)
    rules = repository.load_rules(session, where.id)
    return documents.to_json(rules) if format == "json" else documents.to_yaml(rules)


def mapped_targets(
    session: ReadSession, *, environment: str | None = None, limit: int = 50
) -> tuple[Target, ...]:
    """The distinct targets that rules point at, for connection tests; no permission is checked."""
    context = run_context.load(session, environment)
    found = Counter(rule.target for rules in context.sources for rule in rules if not rule.problem)
    return tuple(target for target, _count in found.most_common(limit))


def _moved(
    session: WriteSession, actor: Actor, where: EnvironmentView, revision: int | None
) -> int:
    """Lock the mapping, check that it is the one that was seen, and move its revision."""
    row = repository.lock_mapping(session, where.id, actor.name)
    if revision is not None and row.revision != revision:
        raise Conflict(
            f"The mapping of '{where.name}' was changed by {row.updated_by} meanwhile. "
            "Reload the page and look again."
        )
    row.revision += 1
    row.updated_at, row.updated_by = clock.now(), actor.name
    session.flush()
    return row.revision


def _record(
    session: WriteSession,
    actor: Actor,
    where: EnvironmentView,
    verb: str,
    details: dict[str, object],
) -> None:
    audit.done(
        session, actor, f"ingestion:mapping:{verb}", f"ingestion mapping of {where.name}", **details
    )


def _moved_to(given: Rule, kept: Rule) -> bool:
    return (given.target, given.invocation) != (kept.target, kept.invocation)


def _by_kind(keys: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for kind, pattern in keys:
        grouped.setdefault(kind, []).append(pattern)
    return grouped


def _matches(rule: Rule, text: str, kind: str) -> bool:
    return (not kind or rule.kind == kind) and (
        not text or text in rule.pattern or text in rule.target.name
    )


def _document(row: IngestionRule) -> dict[str, str]:
    found = {"kind": row.kind, "pattern": row.pattern, "target": row.target}
    return found | ({"invocation": row.invocation} if row.invocation != "async" else {})


def _view(row: IngestionRule) -> RuleView:
    # mypy: written from a Literal, read back as str
    target = Target(row.target_kind, row.target)  # type: ignore[arg-type]
    return of_row(RuleView, row, target=target, source="portal")


_Key = tuple[Source, RuleKind, str]
_NAMES = {"portal": "the portal's mapping", "env": "the environment variable", "file": "the file"}


def _remarks(context: RunContext) -> dict[_Key, str]:
    """Why a rule never answers, for those that never do."""
    found: dict[_Key, str] = {}
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
