"""The policy of an environment: which action needs what. To weaken it needs what it asked for."""

from typing import get_args

from pydantic import ValidationError

from backend.changes import actions, gate, repository, rules
from backend.changes.actions import Action, Begun
from backend.changes.rules import Mode, Rule
from backend.changes.schemas import PolicyView
from backend.core import access, audit, choices
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession, database_now
from backend.core.errors import InvalidInput
from backend.models.changes import ChangePolicy

ACTION = "changes.policy"


def list_policies(
    session: ReadSession, actor: Actor, *, environment: str
) -> tuple[PolicyView, ...]:
    """Every action with its rule in this environment. Raises NotFound."""
    access.require(actor, Permission.CHANGES_READ)
    number = repository.environment_id(session, environment)
    access.require_environment(number, environment)
    stored = {row.action: row for row in repository.policies(session, number)}
    return tuple(
        _view(environment, action, stored.get(action.name))
        for action in sorted(actions.everything().values(), key=lambda each: each.name)
    )


def get(session: ReadSession, actor: Actor, *, environment: str, action: str) -> PolicyView:
    """The rule in force for an action. Raises NotFound."""
    access.require(actor, Permission.CHANGES_READ)
    number = repository.environment_id(session, environment)
    stored = {row.action: row for row in repository.policies(session, number)}
    return _view(environment, actions.get(action), stored.get(action))


def checked(values: dict[str, object]) -> Rule:
    """A rule from what somebody typed; raises InvalidInput saying what is wrong."""
    choices.check("mode", str(values.get("mode", rules.CONFIRM.mode)), get_args(Mode))
    try:
        return Rule.model_validate(values)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        said = str(first["msg"]).removeprefix("Value error, ")
        raise InvalidInput(f"{place}: {said}." if place else f"{said}.") from exc


def save(
    session: WriteSession, actor: Actor, *, environment: str, action: str, rule: Rule
) -> PolicyView:
    """Set the rule of an action. Raises NotFound, InvalidInput; Waiting when the new rule is weaker
    than the one in force, which asks for as many approvals as that one did."""
    access.require_to_ask(actor, Permission.CHANGES_CONFIGURE)
    known = actions.get(action)
    number = repository.environment_id(session, environment)
    environment = repository.environment_name(session, number) or environment
    access.require_environment(number, environment)
    row = repository.lock_policy(session, number, action)
    before = rules.of_row(row) if row is not None else rules.CONFIRM
    gate.check(
        session,
        actor,
        gate.Intent(
            action=ACTION,
            environment=environment,
            subject=f"{known.label} in {environment}",
            parameters={"action": action, "rule": rule.model_dump()},
            shown={
                "action": known.label,
                "rule before": before.in_words(known.unit),
                "rule after": rule.in_words(known.unit),
            },
        ),
        at_least=before.approvers if rule.is_weaker_than(before) else 0,
    )
    if row is None:
        row = ChangePolicy(environment_id=number, action=action)
        session.add(row)
    _write(session, row, rule, actor.name)
    audit.done(
        session,
        actor,
        Permission.CHANGES_CONFIGURE.value,
        f"{action} in {environment}",
        before=before.model_dump(),
        after=rule.model_dump(),
    )
    return _view(environment, known, row)


def carry_out(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, object]
) -> Begun:
    """An approved change of a policy."""
    access.require(actor, Permission.CHANGES_CONFIGURE)
    rule = checked(dict(parameters["rule"]))  # type: ignore[call-overload]  # a rule's own dump
    database.change(
        save, actor, environment=environment, action=str(parameters["action"]), rule=rule
    )
    return Begun(end=actions.End("succeeded"))


def start(session: WriteSession, environment_id: int, by: str) -> None:
    """A new production environment asks for one approval for what rewrites others' data.

    Part of making an environment, which has asked for the permission; an environment that has
    rules of its own keeps them.
    """
    if repository.policies(session, environment_id):
        return
    for action in actions.everything().values():
        if action.rewrites:
            row = ChangePolicy(environment_id=environment_id, action=action.name)
            session.add(row)
            _write(session, row, Rule(mode="approve", approvers=1), by)


def _write(session: WriteSession, row: ChangePolicy, rule: Rule, by: str) -> None:
    for name, value in rules.values(rule).items():
        setattr(row, name, value)
    row.updated_at, row.updated_by = database_now(session), by[:255]
    session.flush()


def _view(environment: str, action: Action, row: ChangePolicy | None) -> PolicyView:
    rule = rules.of_row(row) if row is not None else rules.CONFIRM
    return PolicyView(
        environment=environment,
        action=action.name,
        label=action.label,
        unit=action.unit,
        rule=rule,
        words=rule.in_words(action.unit),
        updated_at=row.updated_at if row is not None else None,
        updated_by=row.updated_by if row is not None else "",
    )


ACTIONS = (Action(ACTION, "Change the policy", Permission.CHANGES_CONFIGURE, carry_out),)
