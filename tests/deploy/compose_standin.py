"""`docker compose exec|run|stop|start|up` over processes: the guide's lines need no engine.

Reads compose.yaml and COMPOSE_STANDIN, a JSON file: places (text in compose.yaml's values → here),
servers (service → environment of its own tools), pids (service → process).
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "portal": ["-m", "auth.serve", "--server.address", "127.0.0.1"],
    "worker": ["-m", "backend", "worker"],
}


def unset(value: str) -> str:
    """What compose makes of a value while .env sets nothing."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


class World:
    def __init__(self) -> None:
        self.file = Path(os.environ["COMPOSE_STANDIN"])
        self.state: dict[str, Any] = json.loads(self.file.read_text())
        services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        self.environments = {
            name: {
                key: self._placed(unset(str(value)))
                for key, value in service["environment"].items()
            }
            for name, service in services.items()
        }

    def _placed(self, value: str) -> str:
        for there, here in self.state["places"].items():
            value = value.replace(there, here)
        return value

    def environment(self, service: str) -> dict[str, str]:
        if service in self.state["servers"]:
            return {**os.environ, **self.state["servers"][service]}
        given = {**os.environ, **self.environments[service], **self.state["dotenv"]}
        return {**given, "PYTHONPATH": str(ROOT)}

    def execute(self, service: str, command: list[str]) -> int:
        if command[0] == "python":
            command = [sys.executable, *command[1:]]
        return subprocess.run(command, env=self.environment(service)).returncode

    def start(self, service: str) -> None:
        log = (self.file.parent / f"{service}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, *COMMANDS[service]],
            cwd=ROOT,
            env=self.environment(service),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.state["pids"][service] = process.pid
        self.file.write_text(json.dumps(self.state))
        address = f"http://127.0.0.1:{self.state['dotenv']['STREAMLIT_SERVER_PORT']}/readyz"
        deadline = time.monotonic() + 150
        while service == "portal" and not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{service} does not come up")
            time.sleep(0.3)

    def stop(self, service: str) -> None:
        pid = self.state["pids"].pop(service)
        self.file.write_text(json.dumps(self.state))
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 60
        while _alive(pid):
            if time.monotonic() > deadline:
                sys.exit(f"{service} does not stop")
            time.sleep(0.2)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    compose, action, *rest = arguments
    assert compose == "compose", compose
    world = World()
    if action in ("exec", "run"):
        words = [word for word in rest if word not in ("-T", "--rm")]
        return world.execute(words[0], words[1:])
    for service in [word for word in rest if not word.startswith("-")]:
        if service in COMMANDS:
            {"stop": world.stop, "start": world.start, "up": world.start}[action](service)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
