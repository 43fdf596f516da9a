"""The container image, with the builder that is here: python3 .ci/image.py build|test [NAME]

build: docker, podman or buildah, whichever is found first. test: needs docker or podman, and holds
the built image to what it promises. BUILDER=… names a command of its own, with options; BUILD and
RUN add options to its `build` and `run`. Standard library only.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 900_000_000
SECONDS = 180
STOP_SECONDS = 10
#: What the image must not hold, bytecode that a copied file's time would make stale, and libraries
#: that do not load (those of the sandbox's database are loaded by its server alone).
LOOK = """
import ctypes, importlib.util, pathlib, sys
bad = [n for n in ("pip", "setuptools", "ruff", "mypy") if importlib.util.find_spec(n)]
for path in pathlib.Path("/app").rglob("*.pyc"):
    if path.read_bytes()[4:8] != bytes([1, 0, 0, 0]):
        bad.append(str(path))
bad += [str(p) for p in pathlib.Path("/app").rglob("secrets.toml")]
bad += [] if any(pathlib.Path("/app/backend").rglob("*.pyc")) else ["no bytecode of the app"]
for path in pathlib.Path("/app/.venv").rglob("*.so*"):
    try:
        "pgserver" in str(path) or ctypes.CDLL(str(path))
    except OSError as exc:
        bad.append(str(exc))
sys.exit(f"in the image: {bad[:10]}" if bad else 0)
"""


class Wrong(Exception):
    """The image does not do what it promises; the message says what."""


def builder(names: tuple[str, ...]) -> list[str]:
    """The first of them that answers, as the start of a command; ends the program without one."""
    if given := shlex.split(os.environ.get("BUILDER", "")):
        return given
    for name in names:
        if (
            shutil.which(name)
            and subprocess.run([name, "info"], capture_output=True).returncode == 0
        ):
            return [name]
    sys.exit(f"None of {', '.join(names)} answers on this machine; install one, or set BUILDER.")


def options(name: str) -> list[str]:
    return shlex.split(os.environ.get(name, ""))


def build(name: str) -> None:
    command = builder(("docker", "podman", "buildah"))
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    given = {"VERSION": version[1] if version else "", "REVISION": head.stdout.strip()}
    arguments = [part for key, value in given.items() for part in ("--build-arg", f"{key}={value}")]
    if Path(command[0]).name != "docker":  # OCI's own form has no HEALTHCHECK
        arguments += ["--format", "docker"]
    done = subprocess.run([*command, "build", *arguments, *options("BUILD"), "-t", name, str(ROOT)])
    sys.exit(done.returncode)


class Tried:
    """One image in one engine."""

    def __init__(self, engine: list[str], name: str) -> None:
        self.engine, self.name = engine, name

    def call(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self.engine, *arguments], capture_output=True, text=True, timeout=SECONDS
        )
        if check and done.returncode:
            raise Wrong(f"{' '.join(arguments[:2])}: {done.stdout}{done.stderr}".strip()[-1000:])
        return (done.stdout + done.stderr).strip()

    def what_it_is(self) -> None:
        (image,) = json.loads(self.call("image", "inspect", self.name))
        config = image.get("Config") or {}
        if image["Size"] > LIMIT:
            raise Wrong(f"{image['Size'] / 1e6:.0f} MB, more than {LIMIT / 1e6:.0f}")
        print(f"size: {image['Size'] / 1e6:.0f} MB")
        if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", config.get("User", "")):
            raise Wrong(f"USER is {config.get('User')!r}, not two numbers")
        if not (config.get("Healthcheck") or image.get("HealthCheck") or image.get("Healthcheck")):
            raise Wrong("no HEALTHCHECK")
        labels = config.get("Labels") or {}
        for label in ("title", "version", "revision"):
            if not labels.get(f"org.opencontainers.image.{label}"):
                raise Wrong(f"no label {label}")

    def what_it_holds(self) -> None:
        self.call("run", "--rm", *options("RUN"), self.name, "python", "-c", LOOK)

    def refuses_a_foreign_folder(self) -> None:
        said = self.call(
            *("run", "--rm", *options("RUN"), "--user", "12345:12345", self.name), check=False
        )
        if "chown" not in said or "Traceback" in said:
            raise Wrong(f"a data folder of somebody else's: {said[-1000:]}")

    def starts_and_stops(self) -> None:
        """Stopped after each of these moments it ends with 0, without having been killed."""
        for moment in (0.5, 3.0, 8.0, None):
            run = ("run", "-d", "--init", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
            said = self.call(*run, *options("RUN"), self.name)
            found = re.search(r"^[0-9a-f]{64}$", said, re.MULTILINE)  # among podman's warnings
            if not found:
                raise Wrong(f"run -d gave no number of a container: {said[-1000:]}")
            it = found[0]
            try:
                self._ready(it) if moment is None else time.sleep(moment)
                self.call("stop", "-t", str(STOP_SECONDS), it)
                status = self.call("inspect", "--format", "{{.State.ExitCode}}", it)
                if status != "0":
                    raise Wrong(f"stopped after {moment} s: {status}\n{self.call('logs', it)}")
            finally:
                self.call("rm", "-f", "-v", it)
            print(f"stopped {'when ready' if moment is None else f'after {moment} s'}: 0")

    def _ready(self, it: str) -> None:
        ask = "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/readyz', timeout=4)"
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.call("exec", it, "python", "-c", ask)
            except Wrong as exc:
                if time.monotonic() > deadline:
                    logs = self.call("logs", it)[-1000:]
                    raise Wrong(f"never ready: {str(exc)[-300:]}\n{logs}") from exc
                time.sleep(1)
            else:
                return


def test(name: str) -> None:
    tried = Tried(builder(("docker", "podman")), name)
    try:
        tried.what_it_is()
        tried.what_it_holds()
        tried.refuses_a_foreign_folder()
        tried.starts_and_stops()
    except Wrong as exc:
        sys.exit(f"The image is not right. {exc}")
    print("The image is what it promises.")


if __name__ == "__main__":
    actions = {"build": build, "test": test}
    if sys.argv[1:2] == [] or sys.argv[1] not in actions:
        sys.exit(__doc__)
    actions[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else "steward-portal")
