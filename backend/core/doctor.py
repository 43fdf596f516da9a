"""What is set and what is wrong, all problems at once."""

import os
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from backend.core import audit, crypto, private, secret_store, startup
from backend.core.database import Database
from backend.core.errors import PortalError, SettingsError
from backend.core.log import MASK, mask_text
from backend.core.settings import Settings, load_settings, variable_names
from backend.core.words import not_ours


@dataclass(frozen=True)
class Setting:
    """value: what is in force, secrets masked. source: the variable it came from, or "default"."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Report:
    settings: tuple[Setting, ...]
    fine: tuple[str, ...]
    problems: tuple[str, ...]


def examine(
    open_database: Callable[[], Database],
    checks: Sequence[Callable[[Settings], Sequence[str]]] = (),
) -> Report:
    """Look at the settings, the state database, the keys and the audit chain.

    checks: what else may be wrong with the settings, as sentences (rules of the domains).
    """
    settings, unusable = _readable()
    problems = [*unusable, *_check_settings(settings)]
    for check in checks:
        problems += check(settings)
    # With settings that no process starts with there is no telling which database was meant.
    fine = [] if unusable else _check_state(open_database, problems)
    wrong = {problem.split(":")[0] for problem in unusable}
    # A wrong key is found by its form, and again by opening the database with it.
    return Report(tuple(_rows(settings, wrong)), tuple(fine), tuple(dict.fromkeys(problems)))


def _readable() -> tuple[Settings, list[str]]:
    """The settings without those that cannot be read, and what is wrong with those."""
    try:
        return load_settings(), []
    except SettingsError as exc:
        wrong = {problem.split(":")[0] for problem in exc.problems}
        rest = {name: value for name, value in os.environ.items() if name not in wrong}
        return load_settings(rest), exc.problems


def _check_state(open_database: Callable[[], Database], problems: list[str]) -> list[str]:
    """What is fine with the state; adds what is not to `problems`."""
    fine: list[str] = []
    try:
        database = open_database()
        if not startup.exists(database):
            return [
                f"no state yet at {startup.place(database)}; the portal's start or init makes it"
            ]
        startup.prepare(database, secret_store.get_vault())
        damaged = startup.damage(database)
        if damaged:
            problems.append(damaged)
            return fine
        fine.append(f"state database at revision {startup.SCHEMA_REVISION}")
        chain = database.ask(audit.verify, full=False)
        if chain.ok:
            fine.append(f"audit chain of {chain.events} events is whole")
        else:
            problems.append(f"audit chain: {chain.problem}")
    except SettingsError as exc:
        problems += exc.problems
    except PortalError as exc:
        problems.append(exc.message)
    return fine


def _rows(settings: Settings, wrong: Container[str]) -> list[Setting]:
    rows = []
    for field in Settings.model_fields:
        names = variable_names(field)
        given = [each for name in names for each in (name, f"{name}_FILE")]
        source = next((name for name in given if os.environ.get(name)), "default")
        value = getattr(settings, field)
        if names[0] in wrong:
            shown = "(cannot be used)"
        elif hasattr(value, "get_secret_value"):
            shown = MASK if value.get_secret_value() else "(not set)"
        elif isinstance(value, tuple):
            shown = ", ".join(value) or "(not set)"
        else:
            shown = mask_text(str(value)) or "(not set)"
        rows.append(Setting(names[0], shown, source))
    return rows


def _check_settings(settings: Settings) -> list[str]:
    problems = crypto.key_problems(crypto.listed_keys(settings.secret_keys.get_secret_value()))
    data_dir = settings.data_dir
    try:
        private.state_folder(data_dir)
        data_dir.mkdir(parents=True, exist_ok=True)
        if not os.access(data_dir, os.W_OK):
            problems.append(f"PORTAL_DATA_DIR: it cannot be written to. {not_ours(data_dir)}")
    except OSError as exc:
        problems.append(f"PORTAL_DATA_DIR: {data_dir} cannot be made ({exc.strerror})")
    if data_dir.is_dir() and private.open_to_others(data_dir):
        problems.append(f"PORTAL_DATA_DIR: others may look into {data_dir}: chmod 700 it")
    key_file = data_dir / crypto.KEY_FILE
    if key_file.exists() and key_file.stat().st_mode & 0o077:
        problems.append(f"{key_file} can be read by others: chmod 600 it")
    if settings.public_url.startswith("http://") and "localhost" not in settings.public_url:
        problems.append(
            "PORTAL_PUBLIC_URL: without https the session cookie is not Secure; "
            "put the portal behind a proxy with TLS"
        )
    return problems
