"""An event of the audit log in words for people, and what it changed as old and new values."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backend.core.access import Permission
from backend.core.views import View

#: Action → how a sentence about its subject begins, done and to be done.
_WORDS = {
    "accounts:account:break_glass": ("Opened for an emergency the", "open for an emergency the"),
    "accounts:account:change_password": ("Changed the password of", "change the password of"),
    "accounts:account:follow_provider": (
        "Took over from the identity provider the",
        "take over the",
    ),
    "accounts:account:recovery_codes": (
        "Made new recovery codes for",
        "make new recovery codes for",
    ),
    "accounts:account:reset_password": ("Reset the password of", "reset the password of"),
    "accounts:account:reset_second_factor": (
        "Reset the second factor of",
        "reset the second factor of",
    ),
    "accounts:account:role": ("Changed the role of", "change the role of"),
    "accounts:account:second_factor_off": (
        "Turned off the second factor of",
        "turn off the second factor of",
    ),
    "accounts:account:second_factor_on": (
        "Turned on the second factor of",
        "turn on the second factor of",
    ),
    "accounts:account:take_in": ("Merged another account into", "merge another account into"),
    "accounts:api_token:create": ("Made", "make"),
    "accounts:api_token:revoke": ("Revoked", "revoke"),
    "accounts:session:end": ("Ended", "end"),
    "accounts:session:sign_in": ("Signed in with", "sign in with"),
    "accounts:session:sign_out": ("Signed out with", "sign out with"),
    "accounts:session:step_up": ("Proved again who acts for", "prove again who acts for"),
    "audit:archive": ("Archived", "archive"),
    "audit:checkpoint:accept": ("Accepted", "accept"),
    "audit:event:export": ("Exported", "export"),
    "changes:policy:write": ("Set the policy for", "set the policy for"),
    "changes:request:approve": ("Approved the request to", "approve the request to"),
    "changes:request:ask": ("Asked for approval to", "ask for approval to"),
    "changes:request:comment": ("Commented on the request to", "comment on the request to"),
    "changes:request:end": ("Ended the request to", "end the request to"),
    "changes:request:reject": ("Rejected the request to", "reject the request to"),
    "changes:request:withdraw": ("Withdrew the request to", "withdraw the request to"),
    "connections:client_info:delete": ("Deleted the client info of", "delete the client info of"),
    "connections:client_info:edit": ("Edited the client info of", "edit the client info of"),
    "connections:connection:remove": ("Removed the connection", "remove the connection"),
    "connections:connection:save": ("Saved the connection", "save the connection"),
    "connections:connection:test": ("Tested the connection", "test the connection"),
    "connections:environment:add": ("Added the environment", "add the environment"),
    "connections:environment:default": ("Made the default environment", "make the default"),
    "connections:environment:remove": ("Removed the environment", "remove the environment"),
    "connections:environment:trust": ("Set what is trusted in", "set what is trusted in"),
    "connections:environment:update": ("Changed the environment", "change the environment"),
    "ingestion:links:put": ("Put up the", "put up the"),
    "ingestion:links:remove": ("Took down the", "take down the"),
    "ingestion:managed:start": ("Started in DataHub", "start in DataHub"),
    "ingestion:mapping:import": ("Imported rules into the", "import rules into the"),
    "ingestion:mapping:put": ("Saved a rule of the", "save a rule of the"),
    "ingestion:mapping:remove": ("Removed a rule of the", "remove a rule of the"),
    "ingestion:mapping:write": ("Changed the", "change the"),
    "ingestion:recipe:start": ("Started the recipe", "start the recipe"),
    "ingestion:schedule:remove": ("Removed the schedule of", "remove the schedule of"),
    "ingestion:schedule:write": ("Set the schedule of", "set the schedule of"),
    "ingestion:run:release": ("Allowed another ingestion of", "allow another ingestion of"),
    "ingestion:run:report": (
        "Told DataHub of the ingestion of",
        "tell DataHub of the ingestion of",
    ),
    "ingestion:run:redrive": ("Started again the ingestion of", "start again the ingestion of"),
    "ingestion:run:start": ("Started the ingestion of", "start the ingestion of"),
    "ingestion:run:stop": ("Stopped the ingestion of", "stop the ingestion of"),
    "jobs:job:cancel": ("Asked to stop", "ask to stop"),
    "mounts:entry:delete": ("Deleted the ledger's entry", "delete the ledger's entry"),
    "mounts:host:release": ("Released the host", "release the host"),
    "mounts:host:verify": ("Verified the host", "verify the host"),
    "mounts:mount:mount": ("Mounted", "mount"),
    "mounts:mount:unmount": ("Unmounted", "unmount"),
    "mounts:mount:verify": ("Verified", "verify"),
    "mounts:operation:recheck": ("Checked again", "check again"),
    "mounts:target:remove": ("Removed the", "remove the"),
    "mounts:target:write": ("Set up the", "set up the"),
    "mounts:watch:write": ("Changed the scan of mounts in", "change the scan of mounts in"),
    "notifications:channel:write": ("Changed the", "change the"),
    "secrets:key:rotate": ("Encrypted again", "encrypt again"),
    "state:backup:create": ("Made the", "make the"),
    "state:backup:restore": ("Went through with the", "go through with the"),
    "state:retention:run": ("Removed", "remove"),
    "tokenization:run:clean_up": ("Cleaned up after tokenizing", "clean up after tokenizing"),
    "tokenization:table:run": ("Tokenized", "tokenize"),
    "user_sync:difference:compare": ("Compared again", "compare again"),
    "user_sync:difference:ignore": ("Ignored the difference in", "ignore the difference in"),
    "user_sync:domain:map": ("Mapped the domain", "map the domain"),
    "user_sync:people:upload": ("Uploaded people for", "upload people for"),
    "user_sync:plan:apply": ("Applied", "apply"),
    "user_sync:plan:create": ("Planned user changes:", "plan user changes:"),
    "user_sync:schedule:write": ("Changed the schedule of", "change the schedule of"),
}
#: Outcomes that a sentence need not add.
_DONE = frozenset(
    {"", "succeeded", "ready", "accepted", "started", "ok", "released", "replied", "shared"}
)
_FAILED = {
    "failed": "Failed to {do}",
    "refused": "Was refused to {do}",
    "denied": "Was refused to {do}",
    "conflict": "Could not {do}",
    "cancelled": "Stopped before the end: {do}",
}

#: What an event's outcome can be, in any domain.
OUTCOMES = tuple(
    sorted(
        (_DONE - {""})
        | _FAILED.keys()
        | {"unknown", "interrupted", "skipped", "partial", "stopped", "left", "not_delivered"}
        | {"approved", "rejected", "withdrawn", "expired"}
        | {"added", "changed", "disabled", "enabled", "made", "removed", "tested"}
    )
)


def beginnings(action: str, recorded: Iterable[str] = ()) -> tuple[str, ...]:
    """() when an action can begin so, else what those that there are begin with.

    The verb is not looked at: not every action has words of its own here. recorded: actions that
    the log has.
    """
    area, colon, rest = action.partition(":")
    thing = rest.partition(":")[0]
    begun = f"{area}:{thing}:" if rest.count(":") else action
    known = {*_WORDS, *Permission, *recorded}
    if any(name.startswith(begun) for name in known):
        return ()
    near = {name for name in known if colon and name.startswith(f"{area}:")}
    words = 2 if near else 1
    return tuple(sorted({":".join(name.split(":")[:words]) for name in near or known}))


class Difference(View):
    """One value that an event changed; None: there was none."""

    field: str
    old: Any
    new: Any


def sentence(action: str, subject: str, phase: str, outcome: str) -> str:
    """ "Applied run 3 of plan 1 on prod"; who did it and when stand beside it."""
    done, do = _WORDS.get(action) or _read(action)
    do = f"{do} {subject}".strip()
    if phase == "intent":
        return f"About to {do}"
    if outcome in _FAILED:
        return _FAILED[outcome].format(do=do)
    if outcome == "unknown":
        return f"Tried to {do}; whether it happened is not known"
    said = f"{done} {subject}".strip()
    return said if outcome in _DONE else f"{said} ({outcome})"


def _read(action: str) -> tuple[str, str]:
    """Of an action without words of its own, such as accounts:account:rename."""
    verb = action.rpartition(":")[2].replace("_", " ")
    past = verb if verb.endswith("ed") else f"{verb.removesuffix('e')}ed"
    return past.capitalize(), verb


def differences(details: Mapping[str, Any]) -> list[Difference]:
    """What `before` and `after` of an event's details differ in, and every {"old", "new"}."""
    return list(_differences(details))


def _differences(details: Mapping[str, Any]) -> Iterator[Difference]:
    before, after = details.get("before"), details.get("after")
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            if before.get(name) != after.get(name):
                yield Difference(field=name, old=before.get(name), new=after.get(name))
    elif {"before", "after"} <= details.keys():
        yield Difference(field="value", old=before, new=after)
    for name, value in details.items():
        if isinstance(value, dict) and value.keys() == {"old", "new"}:
            yield Difference(field=name, old=value["old"], new=value["new"])
