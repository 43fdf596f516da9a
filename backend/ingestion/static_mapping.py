"""The mapping of the environment variable and of the mapping file, read once per change.

A mapping that cannot be read is never skipped silently: its problem travels with every answer, and
stops every answer that a later rule would have given.
"""

import os
import threading
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from backend.core.errors import InvalidInput
from backend.core.settings import Settings
from backend.ingestion import documents, targets
from backend.ingestion.ruleset import Rule, RuleSet
from backend.ingestion.targets import BadTarget

ENV = "DATAHUB_INGESTION_LAMBDA_MAPPING"
FILE = "DATAHUB_INGESTION_LAMBDA_MAPPING_FILE"
DEFAULT = "DATAHUB_INGESTION_LAMBDA_DEFAULT"
MAX_PROBLEMS = 20
BOTH = (
    f"{ENV} and {FILE} are both set and are merged: where both name a dataset, the variable's "
    "entry is taken. A trigger that lets the variable replace the file reads only the variable."
)


@dataclass(frozen=True)
class StaticMapping:
    """env and file: their rules. problems: a sentence for each source that cannot be read, and for
    the first entries whose target cannot be used."""

    env: RuleSet
    file: RuleSet
    env_problem: str = ""
    file_problem: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        whole = tuple(text for text in (self.env_problem, self.file_problem) if text)
        single = (
            f"{name}: {rule.problem}"
            for name, rules in ((ENV, self.env), (FILE, self.file))
            for rule in rules
            if rule.problem
        )
        return whole + tuple(islice(single, MAX_PROBLEMS))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works and may surprise: DataHub's own button does not merge the two mappings."""
        variable = any(rule.kind != "default" for rule in self.env)
        return (BOTH,) if variable and len(self.file) else ()


_lock = threading.Lock()
_cached: tuple[object, StaticMapping] | None = None


def load(settings: Settings) -> StaticMapping:
    """The mapping in force; parsed again only when the variable or the file has changed."""
    global _cached
    path = settings.lambda_mapping_file
    key = (settings.lambda_mapping, settings.lambda_default, path, _stamp(path))
    with _lock:
        if _cached is None or _cached[0] != key:
            _cached = (key, _read(settings))
        return _cached[1]


def problems(settings: Settings) -> tuple[str, ...]:
    """What is wrong with the mapping of the variables and of the file, a sentence each."""
    return load(settings).problems


def _read(settings: Settings) -> StaticMapping:
    env_rules, env_problem = _env(settings)
    file_rules, file_problem = _file(settings.lambda_mapping_file)
    return StaticMapping(
        RuleSet.of("env", env_rules), RuleSet.of("file", file_rules), env_problem, file_problem
    )


def _env(settings: Settings) -> tuple[list[Rule], str]:
    rules: list[Rule] = []
    problem = ""
    if settings.lambda_mapping.strip():
        try:
            rules = documents.parse_json(settings.lambda_mapping, "env")
        except InvalidInput as exc:
            problem = f"{ENV} cannot be used: {exc.message.rstrip('.')}. Correct it and restart."
    if settings.lambda_default.strip():
        try:
            rules.append(Rule("default", "", targets.parse(settings.lambda_default), "env"))
        except BadTarget as exc:
            problem = " ".join(filter(None, (problem, f"{DEFAULT} cannot be used: {exc.message}")))
    return rules, problem


def _file(path: str) -> tuple[list[Rule], str]:
    if not path:
        return [], ""
    named = f"The mapping file {path} ({FILE})"
    try:
        if Path(path).stat().st_size > documents.MAX_BYTES:
            return [], f"{named} is larger than {documents.MAX_BYTES:,} bytes. Split it."
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as exc:
        why = (exc.strerror or type(exc).__name__).lower()
        return [], f"{named} cannot be read: {why}. Correct the path or the file's rights."
    except UnicodeDecodeError:
        return [], f"{named} is not UTF-8 text. Save it as UTF-8."
    parse = documents.parse_json if path.lower().endswith(".json") else documents.parse_yaml
    try:
        return parse(text, "file"), ""
    except InvalidInput as exc:
        return [], f"{named} cannot be used: {exc.message.rstrip('.')}. Correct the file."


def _stamp(path: str) -> object:
    if not path:
        return None
    try:
        found = os.stat(path)
    except OSError as exc:
        return type(exc).__name__
    return (found.st_mtime_ns, found.st_size, found.st_ino)
