"""The audit log in words: a sentence for every action there is, and what changed as a diff."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.accounts import audit_words
from backend.core.access import Permission

BACKEND = Path(__file__).resolve().parents[3] / "backend"
AREAS = "accounts|audit|changes|connections|ingestion|jobs|mounts|notifications|secrets|state"
ACTION = re.compile(rf'"((?:{AREAS}|tokenization|user_sync)(?::[a-z_]+)+)"')
#: Permissions that are asked for and never recorded as an action of their own.
NOT_RECORDED = {
    Permission.CONNECTIONS_WRITE,
    Permission.ENVIRONMENTS_WRITE,
    Permission.TOKENIZATION_PREVIEW,
    Permission.ACCOUNTS_WRITE,
    Permission.API_TOKENS_WRITE,
    Permission.OWN_ACCOUNT,
    Permission.MOUNTS_WRITE,
    Permission.CHANGES_DECIDE,
}


def test_every_action_of_the_code_has_words() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in BACKEND.rglob("*.py"))
    actions = {name for name in ACTION.findall(text) if not name.endswith(":read")}
    assert len(actions) > 40
    assert sorted(actions - set(audit_words._WORDS) - NOT_RECORDED) == []


def test_what_is_made_of_a_verb_reads_well_too() -> None:
    """`f"accounts:account:{verb}"` with what its callers in the same file say."""
    made = {action for path in BACKEND.rglob("*.py") for action in _made(path)}
    assert len(made) > 8
    assert sorted(a for a in made if a not in audit_words._WORDS and not REGULAR.search(a)) == []


#: Verbs that need no words of their own, and what callers say besides a verb.
REGULAR = re.compile(":(create|disable|enable)$")
BESIDES = {"intent", "outcome", "event", "released"}


def _made(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    begun: dict[str, str] = {}
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)):
        if found := re.search(rf"'((?:{AREAS}):[a-z_]+:)\{{verb\}}'", ast.unparse(function)):
            begun[function.name] = found[1]
    for call in (each for each in ast.walk(tree) if isinstance(each, ast.Call)):
        if start := begun.get(ast.unparse(call.func)):
            said = [each.value for each in call.args if isinstance(each, ast.Constant)]
            yield from (f"{start}{verb}" for verb in said if verb not in BESIDES)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            ("user_sync:plan:apply", "plan 1 on prod", "outcome", "succeeded"),
            "Applied plan 1 on prod",
        ),
        (("user_sync:plan:apply", "plan 1 on prod", "intent", ""), "About to apply plan 1 on prod"),
        (
            ("mounts:mount:mount", "job 7: t1 on h1", "outcome", "unknown"),
            "Tried to mount job 7: t1 on h1; whether it happened is not known",
        ),
        (
            ("tokenization:table:run", "shop.people", "outcome", "failed"),
            "Failed to tokenize shop.people",
        ),
        (
            ("accounts:account:disable", "account ann", "event", "succeeded"),
            "Disabled account ann",
        ),
        (
            ("accounts:account:role", "account ann", "event", "succeeded"),
            "Changed the role of account ann",
        ),
        (
            ("connections:connection:test", "aws of prod", "event", "odd"),
            "Tested the connection aws of prod (odd)",
        ),
    ],
)
def test_sentences(event: tuple[str, str, str, str], said: str) -> None:
    assert audit_words.sentence(*event) == said


def test_what_changed() -> None:
    details = {
        "before": {"name": "a", "production": False},
        "after": {"name": "a", "production": True},
        "hours": {"old": 1, "new": 2},
        "kinds": ["x", "y"],
    }
    found = [(each.field, each.old, each.new) for each in audit_words.differences(details)]
    assert found == [("production", False, True), ("hours", 1, 2)]
    one = audit_words.differences({"before": "viewer", "after": "admin", "account_id": 3})
    assert [(each.field, each.old, each.new) for each in one] == [("value", "viewer", "admin")]
    assert audit_words.differences({"unreadable": True}) == []
