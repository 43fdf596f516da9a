"""AWS's own runtime clients, installed once into the user's cache, and how each is started."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures import processes
from tests.fixtures.lock import installer_environment
from tests.fixtures.processes import ServerUnavailable

FUNCTIONS = Path(__file__).parent / "functions"
INSTALL_SECONDS = 400
PYTHON_CLIENT = "awslambdaric==4.2.2"
#: Of Node 22 and before, and of Node 24, which has no callbacks any more.
NODE_CLIENT, NODE24_CLIENT = "aws-lambda-ric@3.3.0", "aws-lambda-ric@4.0.2"
JAVA_CLIENT = "2.10.1"
GO_CLIENT = "v1.55.1"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>t</groupId><artifactId>t</artifactId><version>1</version><dependencies><dependency>
<groupId>com.amazonaws</groupId><artifactId>aws-lambda-java-runtime-interface-client</artifactId>
<version>{JAVA_CLIENT}</version></dependency></dependencies></project>"""


@dataclass(frozen=True)
class Client:
    """A runtime client with the function of the cases. frames: it hands its log to the platform in
    frames, several lines in one; the output of the others is an event per line."""

    command: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    frames: bool = True


def python() -> Client:
    def install(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "-q", "-t", str(folder), PYTHON_CLIENT]
        _run(pip)

    libraries = _cached(PYTHON_CLIENT, install)
    path = f"{libraries}{os.pathsep}{FUNCTIONS}"
    return Client((sys.executable, "-m", "awslambdaric", "fn.handler"), {"PYTHONPATH": path})


def node() -> Client:
    return _node(NODE_CLIENT, "dist/rapid-client.node", "bin/index.mjs")


def node24() -> Client:
    return _node(NODE24_CLIENT, "rapid-client.node", "index.mjs")


def _node(package: str, compiled: str, main: str) -> Client:
    npm, program = _program("npm"), _program("node")

    def install(folder: Path) -> None:
        _run([npm, "pack", "--silent", package], folder)
        _run(["tar", "-xzf", next(folder.glob("*.tgz")).name], folder)
        (folder / "package" / compiled).touch()

    client = _cached(package.replace("@", "-"), install) / "package" / main
    preload = str(FUNCTIONS / "preload.js")
    command = (program, "-r", preload, str(client), "fn.handler")
    return Client(command, {"_HANDLER": "fn.handler"})


def java() -> Client:
    maven, compiler, program = _program("mvn"), _program("javac"), _program("java")

    def install(folder: Path) -> None:
        (folder / "pom.xml").write_text(_POM)
        copy = ["-DoutputDirectory=lib", "dependency:copy-dependencies"]
        _run([maven, "-q", "-B", *copy], folder)
        source = str(FUNCTIONS / "Fn.java")
        _run([compiler, "-cp", "lib/*", "-d", ".", source], folder)

    folder = _cached(f"java-{JAVA_CLIENT}-{_digest('Fn.java')}", install)
    client = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
    path = f"{folder}/lib/*{os.pathsep}{folder}"
    # As AWS's own bootstrap does: the client opens the log's descriptor by reflection.
    options = ("-XX:TieredStopAtLevel=1", "--add-opens=java.base/java.io=ALL-UNNAMED", "-cp", path)
    return Client((program, *options, client, "Fn::handleRequest"))


def go() -> Client:
    program = _program("go")

    def install(folder: Path) -> None:
        shutil.copy(FUNCTIONS / "fn.go", folder / "main.go")
        _run([program, "mod", "init", "fn"], folder)
        _run([program, "get", f"github.com/aws/aws-lambda-go@{GO_CLIENT}"], folder)
        _run([program, "build", "-o", "fn", "."], folder)

    folder = _cached(f"go-{GO_CLIENT}-{_digest('fn.go')}", install)
    return Client((str(folder / "fn"),), frames=False)


def go_with_its_own_logger() -> Client:
    client = go()
    return Client(client.command, {"OWN_LOGGER": "1"}, frames=False)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ServerUnavailable(f"{name} is not installed")
    return found


def _digest(name: str) -> str:
    return hashlib.sha256((FUNCTIONS / name).read_bytes()).hexdigest()[:12]


def _cached(name: str, install: Callable[[Path], None]) -> Path:
    """What `install` put into a folder, made once: half an installation is never seen."""
    home = os.environ.get("XDG_CACHE_HOME") or f"{os.environ['TEST_REAL_HOME']}/.cache"
    place = Path(home) / "steward-portal-tests" / "lambda" / name
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place.parent))
        install(made)
        try:
            made.rename(place)
        except OSError:  # another worker was first
            shutil.rmtree(made)
    return place


def _run(command: list[str], folder: Path | None = None) -> None:
    processes.run(command, cwd=folder, env=installer_environment(), seconds=INSTALL_SECONDS)
