"""Dockerfile and compose.yaml, held to what they promise without an engine to build them."""

import os
import re
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from backend.core import crypto
from backend.core.settings import GATEWAY, Settings, load_settings, secret_names, variable_names
from tests.architecture.source import ROOT, tracked_files
from tests.deploy import compose_standin, containerfile
from tests.fixtures import processes
from tests.fixtures.lock import installer_environment

STAGES = containerfile.read(ROOT / "Dockerfile")
PACKAGES, FILES, FINAL = STAGES
COMPOSE_TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]


class TestDockerfile:
    def test_bases_are_pinned_and_the_same(self):
        (base,) = {stage.base for stage in STAGES}
        assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base)

    def test_every_copied_file_is_in_version_control(self):
        known = {str(path.relative_to(ROOT)) for path in tracked_files()}
        for stage in STAGES:
            for origin, sources, _ in containerfile.copies(stage):
                for source in sources if origin is None else []:
                    held = any(name == source or name.startswith(f"{source}/") for name in known)
                    assert held, f"COPY {source}: no such file"

    def test_every_room_is_copied(self):
        copied = {source for _, sources, _ in containerfile.copies(FILES) for source in sources}
        assert {"app.py", "auth", "pages", "backend", "data", ".streamlit"} <= copied

    def test_the_final_stage_installs_nothing_and_removes_the_installer(self):
        steps = " ".join(FINAL.all("RUN"))
        assert not re.search(r"apt|gcc|pip install|uv |curl|wget", steps)
        assert "rm -rf /usr/local/lib/python3.11/site-packages/*" in steps
        assert any("--without-pip" in step for step in PACKAGES.all("RUN"))

    def test_bytecode_never_goes_stale(self):
        for stage in (PACKAGES, FILES):
            compiled = [step for step in stage.all("RUN") if "compileall" in step]
            assert compiled
            assert "--invalidation-mode unchecked-hash" in compiled[-1]

    def test_a_development_package_leaves_the_layer_as_it_is(self):
        sources = {s for _, sources, _ in containerfile.copies(PACKAGES) for s in sources}
        assert "requirements.txt" in sources
        assert "requirements-dev.txt" not in sources

    def test_the_sdk_of_traces_is_an_argument_of_the_build(self):
        """There is no installer in the image that could bring it later."""
        (install,) = [step for step in PACKAGES.all("RUN") if "-r requirements.txt" in step]
        shell = re.search(r"-r requirements\.txt.*?(?= &&)", install)
        assert shell
        for given, lock in (("", ""), ("1", " -r requirements-traces.txt")):
            said = subprocess.run(
                ["sh", "-c", f"echo {shell[0]}"],
                env={"TRACES": given, "PATH": os.environ["PATH"]},
                capture_output=True,
                text=True,
                check=True,
            )
            assert said.stdout.strip() == f"-r requirements.txt{lock}"
        names = [name for name, argument in PACKAGES.steps if name == "ARG" or argument == install]
        assert names == ["ARG", "RUN"]

    def test_the_process_is_not_root(self):
        names = [name for name, _ in FINAL.steps]
        assert FINAL.last("USER") == "10001:10001"
        assert names.index("USER") < names.index("CMD")
        assert any("useradd --system" in step and "portal" in step for step in FINAL.all("RUN"))

    def test_health_is_asked_of_the_portal_itself(self):
        assert "/readyz" in FINAL.last("HEALTHCHECK")
        assert containerfile.exec_form(FINAL.last("HEALTHCHECK"))[0] == "/app/.venv/bin/python"

    def test_state_lies_in_the_volume(self):
        assert containerfile.variables(FINAL)["PORTAL_DATA_DIR"] == FINAL.last("VOLUME")

    def test_its_variables_exist(self):
        known = {name for field in Settings.model_fields for name in variable_names(field)}
        given = {name for name in containerfile.variables(FINAL) if name.startswith("PORTAL_")}
        assert given <= known


class TestWhatGoesIn:
    IGNORED = (ROOT / ".dockerignore").read_text().splitlines()

    def test_only_what_is_named(self):
        rules = [line for line in self.IGNORED if line and not line.startswith("#")]
        assert rules[0] == "*"
        named = {rule[1:] for rule in rules if rule.startswith("!")}
        copied = {
            source
            for stage in STAGES
            for origin, sources, _ in containerfile.copies(stage)
            for source in sources
            if origin is None
        }
        assert named == copied

    @pytest.mark.parametrize(
        "rule", [".streamlit/secrets.toml", "data/state", "**/*.keys", "**/*.backup", "**/.env"]
    )
    def test_no_secret_that_lies_beside(self, rule):
        last_named = max(i for i, line in enumerate(self.IGNORED) if line.startswith("!"))
        assert rule in self.IGNORED[last_named:]

    def test_nothing_of_the_repository_is_lost_by_its_ending(self):
        endings = [line[3:] for line in self.IGNORED if line.startswith("**/")]
        assert endings
        lost = [
            str(path.relative_to(ROOT))
            for path in tracked_files()
            if any(fnmatch(path.name, ending) for ending in endings)
        ]
        assert lost == []

    def test_the_secrets_of_sign_in_are_in_no_commit(self):
        done = subprocess.run(
            ["git", "check-ignore", "-q", "--no-index", ".streamlit/secrets.toml"], cwd=ROOT
        )
        assert done.returncode == 0


class TestCompose:
    def test_has_the_portal_a_worker_and_the_servers(self):
        assert set(SERVICES) == {"portal", "worker", "postgres", "mariadb", "rabbitmq"}

    def test_images_are_pinned_to_a_release(self):
        for name in ("postgres", "mariadb", "rabbitmq"):
            assert re.search(r":\d", SERVICES[name]["image"]), name

    def test_every_variable_it_asks_for_is_in_the_example(self):
        example = (ROOT / ".env.example").read_text()
        for name in re.findall(r"\$\{(\w+)", COMPOSE_TEXT):
            assert f"#{name}=" in example, name

    def test_no_password_stands_in_an_environment(self):
        """`docker inspect` and /proc/1/environ show where it lies, not what it is."""
        for name, service in SERVICES.items():
            files = {key: value for key, value in service.get("environment", {}).items()
                     if key.endswith("_FILE")}  # fmt: skip
            given = [f"/run/secrets/{each}" for each in service["secrets"]]
            assert given, name
            assert set(files.values()) <= set(given), name
            unread = [path for path in given if path not in f"{files} {service.get('entrypoint')}"]
            assert unread == [], name
            for key in service.get("environment", {}):
                wanted = re.search(r"PASS(WORD)?$|KEYS$|TOKEN$", key)
                assert not wanted or key == "MARIADB_RANDOM_ROOT_PASSWORD", key
            assert not re.search(r"://[^/@:]+:[^@]*@", str(service)), name

    def test_each_secret_is_a_file_of_a_folder_that_no_commit_holds(self):
        for name, secret in COMPOSE["secrets"].items():
            assert secret == {"file": f"./secrets/{name}"}
        done = subprocess.run(
            ["git", "check-ignore", "-q", "--no-index", "secrets/secret_keys"], cwd=ROOT
        )
        assert done.returncode == 0

    def test_the_guides_lines_make_the_files_and_the_portal_reads_them(self, tmp_path: Path):
        guide = (ROOT / "docs" / "deploy.md").read_text().split("## With compose")[1]
        (lines,) = [text for text in guide.split("```") if "mkdir -m 700 secrets" in text]
        subprocess.run(["bash", "-euc", f"umask 077\n{lines}"], cwd=tmp_path, check=True)
        made = tmp_path / "secrets"
        assert {path.name for path in made.iterdir()} == set(COMPOSE["secrets"])
        assert made.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o644}
        for service in ("portal", "worker"):
            environment = {
                name: compose_standin.unset(value).replace("/run/secrets", str(made))
                for name, value in SERVICES[service]["environment"].items()
            }
            settings = load_settings(environment)
            password = (made / "postgres_password").read_text().strip()
            assert settings.database_url == (
                f"postgresql+psycopg2://portal:{password}@postgres:5432/portal"
            )
            password = (made / "rabbitmq_password").read_text().strip()
            assert settings.broker_url.get_secret_value() == (
                f"amqp://portal:{password}@rabbitmq:5672/"
            )
            keys = crypto.listed_keys(settings.secret_keys.get_secret_value())
            assert len(keys) == 1
            assert crypto.key_problems(keys) == []

    def test_the_brokers_shell_hands_the_password_over(self, tmp_path: Path):
        """RABBITMQ_DEFAULT_PASS_FILE is refused by the image since 3.9 ("set but deprecated")."""
        stand_in = tmp_path / "docker-entrypoint.sh"
        stand_in.write_text('#!/bin/sh\necho "$* $RABBITMQ_DEFAULT_PASS"\n')
        stand_in.chmod(0o700)
        command = [
            word.replace("$$", "$").replace("/run/secrets", str(tmp_path))
            for word in SERVICES["rabbitmq"]["entrypoint"]
        ]
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        asked = {"env": environment, "capture_output": True, "text": True}
        done = subprocess.run(command, **asked)
        assert (done.returncode, done.stdout) == (1, "")
        assert "rabbitmq_password: No such file" in done.stderr
        (tmp_path / "rabbitmq_password").write_text("of the broker\n")
        assert subprocess.run(command, **asked).stdout == "rabbitmq-server of the broker\n"

    def test_the_portals_variables_exist(self):
        known = {name for field in Settings.model_fields for name in variable_names(field)}
        known |= {f"{name}_FILE" for name in secret_names()}
        for service in ("portal", "worker"):
            assert set(SERVICES[service]["environment"]) <= known

    def test_waits_for_services_that_have_a_health_check(self):
        for service in SERVICES.values():
            for other, condition in service.get("depends_on", {}).items():
                healthy = "healthcheck" in SERVICES[other] or other == "portal"
                assert condition["condition"] == "service_healthy"
                assert healthy, other

    def test_volumes_and_mounted_files_exist(self):
        for service in SERVICES.values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                assert source in COMPOSE["volumes"] or (ROOT / source).exists(), source

    def test_plain_http_is_for_this_machine_alone_unless_said_otherwise(self):
        assert SERVICES["portal"]["ports"] == ["${PORTAL_PUBLISH:-127.0.0.1:8501}:8501"]
        others = {name: service.get("ports") for name, service in SERVICES.items()}
        assert {name for name, ports in others.items() if ports} == {"portal"}

    def test_a_proxy_on_this_machine_is_believed(self):
        """Its calls come from the gateway of compose's network."""
        named = SERVICES["portal"]["environment"]["PORTAL_TRUSTED_PROXIES"]
        assert named.startswith("${PORTAL_TRUSTED_PROXIES:-")  # .env may name another
        settings = load_settings({"PORTAL_TRUSTED_PROXIES": compose_standin.unset(named)})
        assert settings.trusted_proxies == ("127.0.0.1", "::1", GATEWAY)

    def test_a_stop_reaches_the_process_and_has_time(self):
        for service in ("portal", "worker"):
            assert SERVICES[service]["init"] is True
            assert SERVICES[service]["stop_grace_period"] == "30s"

    def test_the_portal_runs_with_few_rights(self):
        for service in ("portal", "worker"):
            assert SERVICES[service]["read_only"] is True
            assert SERVICES[service]["cap_drop"] == ["ALL"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_dockerfiles_steps_give_a_portal_that_answers(tmp_path: Path):
    """Each step in order in an empty folder that stands for /app; what needs a container is named.

    Not run here: making the user and taking the installer out of the base image. uv installs from
    its cache and nothing is byte-compiled, which saves minutes and changes nothing that runs.
    """
    application, state = tmp_path / "app", tmp_path / "state"
    places = {"/app": str(application), "/var/lib/portal": str(state)}
    state.mkdir()
    _build(PACKAGES, application, places)
    _build(FILES, application, places)
    _build(FINAL, application, places)
    port = processes.free_port()
    environment = {
        **{name: _placed(value, places) for name, value in containerfile.variables(FINAL).items()},
        "HOME": str(state),
        "STREAMLIT_SERVER_PORT": str(port),
    }
    command = [_placed(word, places) for word in containerfile.exec_form(FINAL.last("CMD"))]
    health = [_placed(word, places) for word in containerfile.exec_form(FINAL.last("HEALTHCHECK"))]
    asking = {"env": {"STREAMLIT_SERVER_PORT": str(port)}, "capture_output": True}
    portal = processes.Process(
        command, log=tmp_path / "portal.log", env=environment, folder=application
    )
    try:
        portal.wait_until(lambda: processes.listens("127.0.0.1", port), seconds=120)
        portal.wait_until(
            lambda: time.sleep(0.3) or subprocess.run(health, **asking).returncode == 0,
            seconds=120,
        )
        with urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert b"<title>" in answer.read()
    finally:
        portal.stop()
    assert (state / "portal.sqlite").exists()
    assert not (application / "data" / "state").exists()


def _build(stage: containerfile.Stage, application: Path, places: dict[str, str]) -> None:
    application.mkdir(exist_ok=True)
    for instruction, argument in stage.steps:
        if instruction == "COPY" and not argument.startswith("--from="):
            *sources, target = argument.split()
            for source in sources:
                name = Path(source).name if target.endswith("/") else ""
                _copy(ROOT / source, application / target / name)
        elif instruction == "RUN" and stage is not FINAL:
            done = subprocess.run(
                ["bash", "-ec", _placed(_quicker(argument), places)],
                cwd=application,
                env=_builder_environment(application),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{argument}\n{done.stdout}{done.stderr}"


def _builder_environment(application: Path) -> dict[str, str]:
    """`python` is a fresh virtual environment beside the application, as in the base image."""
    tools = application.parent / "tools"
    if not tools.exists():
        subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True)
    environment = installer_environment()
    return {**environment, "PATH": f"{tools / 'bin'}:{environment['PATH']}", "CC": "/bin/false"}


def _quicker(argument: str) -> str:
    without_cache = re.sub(r"--mount=\S+ |--cache-dir \S+ ", "", argument).replace(
        " --link-mode copy ", " "
    )
    return re.sub(r"(^| && )python -m compileall .*", r"\1true", without_cache)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "state")
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target / source.name if target.is_dir() else target)


def _placed(text: str, places: dict[str, str]) -> str:
    for place, real in places.items():
        text = re.sub(rf"(?<![\w/]){re.escape(place)}(?![\w-])", real, text)
    return text
