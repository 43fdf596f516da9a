"""A Dockerfile read into stages and steps, as far as the tests need it: no engine is at hand."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    base: str
    name: str | None
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [argument for name, argument in self.steps if name == instruction]

    def last(self, instruction: str) -> str:
        return self.all(instruction)[-1]


def read(path: Path) -> list[Stage]:
    """Stages in order; raises AssertionError on an instruction outside a stage."""
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    stages: list[Stage] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        instruction, _, argument = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = argument.partition(" AS ")
            stages.append(Stage(base, name or None))
        else:
            assert stages, f"{instruction} stands before FROM"
            stages[-1].steps.append((instruction, argument.strip()))
    return stages


def copies(stage: Stage) -> list[tuple[str | None, list[str], str]]:
    """(stage copied from or None, sources, target) of every COPY."""
    found = []
    for argument in stage.all("COPY"):
        words = shlex.split(argument)
        origin = None
        if words[0].startswith("--from="):
            origin = words.pop(0).removeprefix("--from=")
        found.append((origin, words[:-1], words[-1]))
    return found


def variables(stage: Stage) -> dict[str, str]:
    return dict(
        word.split("=", 1) for argument in stage.all("ENV") for word in shlex.split(argument)
    )


def exec_form(argument: str) -> list[str]:
    """The list after CMD; shell forms are refused, they hide the process from signals."""
    return list(json.loads(argument[argument.index("[") :]))
