"""What every kind's settings have to fulfil, read from the kind's own definition."""

from collections.abc import Iterable, Mapping

from backend.connections.fields import Kind
from backend.core.errors import FieldInvalid, InvalidInput


def check_names(kind: Kind, settings: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    """Raise InvalidInput once, naming every unknown name and the allowed ones."""
    misplaced = sorted(name for name in settings if kind.secret(name))
    if misplaced:
        raise InvalidInput(
            f"{kind.name} {', '.join(misplaced)} is a secret and does not belong among the "
            "settings; on the command line use --secret, which reads it from the input."
        )
    unknown = sorted(
        {name for name in settings if not kind.setting(name)}
        | {name for name in secrets if not kind.secret(name)}
    )
    if unknown:
        raise InvalidInput(
            f"{kind.name} has no {', '.join(repr(name) for name in unknown)}; "
            f"allowed are {kind.names()}."
        )


def check_complete(kind: Kind, settings: Mapping[str, str], secrets_set: frozenset[str]) -> None:
    """Raise FieldInvalid naming everything that is missing at once."""
    missing = [item.name for item in kind.settings if item.required and not settings.get(item.name)]
    if missing:
        message = f"{kind.label} needs {_called(kind, missing)}."
        raise FieldInvalid(dict.fromkeys(missing, "Needed."), message)
    if kind.one_of and not any(all(settings.get(n) for n in group) for group in kind.one_of):
        choices = ", or ".join(_called(kind, group) for group in kind.one_of)
        lacking = [name for name in kind.one_of[0] if not settings.get(name)]
        message = f"{kind.label} needs {choices}."
        raise FieldInvalid(dict.fromkeys(lacking, message), message)
    if kind.check is not None:
        kind.check(settings, secrets_set)


def _called(kind: Kind, names: Iterable[str]) -> str:
    called = {item.name: item.called for item in kind.settings}
    return " and ".join(called[name] for name in names)


def with_defaults(kind: Kind, stored: Mapping[str, str]) -> dict[str, str]:
    """Every setting of the kind: what is stored, else its default, else ""."""
    return {item.name: stored.get(item.name) or item.default for item in kind.settings}


def sent_to(kind: Kind, settings: Mapping[str, str]) -> dict[str, str]:
    """Setting -> what of it decides whom the kind's secrets are sent to; {} for secrets that stay
    here. A stored value that may not be used any more stands for itself."""
    found = {}
    for item in kind.settings:
        if not item.directs:
            continue
        value = settings.get(item.name) or item.default
        try:
            found[item.name] = item.parsed(kind.label, value).sent_to
        except InvalidInput:
            found[item.name] = value
    return found


def moved(kind: Kind, old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What people call the settings whose change sends the secrets to somebody else."""
    before, after = sent_to(kind, old), sent_to(kind, new)
    return [item.called for item in kind.settings if before.get(item.name) != after.get(item.name)]


def needs_a_key_pair(settings: Mapping[str, str], secrets_set: frozenset[str]) -> None:
    if settings.get("access_key_id") and settings.get("profile"):
        raise FieldInvalid(
            {"profile": "aws takes access_key_id or profile, not both: each names an identity."}
        )
    if "session_token" in secrets_set and "secret_access_key" not in secrets_set:
        raise FieldInvalid(
            {
                "session_token": "aws needs access_key_id and secret_access_key beside a "
                "session_token."
            }
        )
    has_id, has_secret = bool(settings.get("access_key_id")), "secret_access_key" in secrets_set
    if has_id != has_secret:
        missing = "secret_access_key" if has_id else "access_key_id"
        raise FieldInvalid({missing: f"aws needs {missing} too: the two only work together."})
