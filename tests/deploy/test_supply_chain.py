"""What the portal is made of: every file with its hash, from the index to the images."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.architecture.source import ROOT

LOCKS = tuple(sorted(path.name for path in ROOT.glob("requirements*.txt")))
INFO = "planted-1.0.dist-info"
PIN = re.compile(r"^[A-Za-z0-9._-]+(?:\[[^]]*])?==", re.MULTILINE)


def run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


class TestLocks:
    @pytest.mark.parametrize("name", LOCKS)
    def test_every_pin_has_hashes(self, name: str) -> None:
        blocks = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / name).read_text())
        pins = [block for block in blocks if PIN.match(block)]
        assert pins
        assert [block for block in pins if "--hash=sha256:" not in block] == []

    @pytest.mark.parametrize("name", LOCKS)
    def test_nothing_comes_by_a_way_that_hashes_do_not_cover(self, name: str) -> None:
        """A repository, a folder, an address or an index of its own beside the pins."""
        lines = [
            line.strip()
            for line in (ROOT / name).read_text().splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]
        others = [
            line for line in lines if not PIN.match(line) and not line.startswith("--hash=sha256:")
        ]
        assert others == []
        assert [line for line in lines if "://" in line.split("#")[0]] == []

    def test_there_is_a_lock_for_every_list_of_wishes(self) -> None:
        wishes = {path.stem for path in ROOT.glob("requirements*.in")}
        assert {Path(name).stem for name in LOCKS} == wishes
        assert len(LOCKS) == 4

    @pytest.mark.parametrize("name", [".ci/environment.py", "Dockerfile"])
    def test_both_installers_ask_for_them_also_of_what_builds(self, name: str) -> None:
        text = (ROOT / name).read_text()
        assert "--require-hashes" in text
        assert "--build-constraint" in text

    def test_images_have_digests(self) -> None:
        images = re.findall(
            r"^(?:FROM|\s+image:) (\S+:\S+)",
            (ROOT / "Dockerfile").read_text() + (ROOT / "compose.yaml").read_text(),
            re.MULTILINE,
        )
        assert len(images) == 6
        assert [one for one in images if not re.search(r"@sha256:[0-9a-f]{64}$", one)] == []


class TestTheInstaller:
    """uv as both installers call it, on a wheel made here, without an index."""

    @pytest.fixture
    def wheel(self, tmp_path: Path) -> Path:
        path = tmp_path / "planted-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr("planted.py", "")
            zipped.writestr(
                f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n"
            )
            zipped.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            zipped.writestr(f"{INFO}/RECORD", "")
        return path

    def install(self, wheel: Path, line: str) -> tuple[int, str, bool]:
        (wheel.parent / "wanted.txt").write_text(f"{line}\n")
        target = wheel.parent / "installed"
        done = subprocess.run(
            [
                ROOT / ".venv" / "bin" / "uv", "pip", "install", "--require-hashes", "--no-config",
                "--offline", "--no-index", "--no-cache",
                "--python", sys.executable, "--target", target, "-r", wheel.parent / "wanted.txt",
            ],
            capture_output=True,
            text=True,
            env={**os.environ, "UV_FIND_LINKS": str(wheel.parent)},
            check=False,
        )  # fmt: skip
        return done.returncode, done.stderr, (target / "planted.py").exists()

    def test_takes_the_file_that_the_lock_names(self, wheel: Path) -> None:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        status, said, there = self.install(wheel, f"planted==1.0 --hash=sha256:{digest}")
        assert (status, there) == (0, True), said

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            (f"planted==1.0 --hash=sha256:{'0' * 64}", "Hash mismatch"),
            ("planted==1.0", "--require-hashes"),
            ("planted", "--require-hashes"),
        ],
        ids=["another file of that name", "no hash", "no version"],
    )
    def test_refuses_all_else(self, wheel: Path, line: str, says: str) -> None:
        status, said, there = self.install(wheel, line)
        assert (status != 0, there) == (True, False)
        assert says in said


class TestBillOfMaterials:
    @pytest.fixture(scope="class")
    def text(self, tmp_path_factory: pytest.TempPathFactory) -> str:
        target = tmp_path_factory.mktemp("sbom") / "new" / "sbom.cdx.json"
        done = run(ROOT / ".ci" / "sbom.py", str(target))
        assert done.returncode == 0, done.stderr
        return target.read_text()

    def test_is_a_cyclonedx_document(self, text: str) -> None:
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None

    def test_has_every_locked_package_with_its_hashes(self, text: str) -> None:
        lock = (ROOT / "requirements.txt").read_text()
        components = json.loads(text)["components"]
        assert len(components) == len(PIN.findall(lock))
        for component in components:
            (files,) = component["externalReferences"]
            assert {one["content"] for one in files["hashes"]} <= set(
                re.findall(r"sha256:([0-9a-f]{64})", lock)
            )

    def test_says_who_needs_what(self, text: str) -> None:
        document = json.loads(text)
        needs = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
        versions = {one["name"]: one["bom-ref"] for one in document["components"]}
        assert versions["streamlit"] in needs["portal"]
        assert versions["mako"] in needs[versions["alembic"]]
        assert versions["mako"] not in needs["portal"]


class Registry(BaseHTTPRequestHandler):
    """A registry by the OCI distribution specification that wants an anonymous token first."""

    kind = "application/vnd.oci.image.index.v1+json"

    def do_GET(self) -> None:
        body = json.dumps({"token": "anonymous"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        if self.headers.get("Authorization") != "Bearer anonymous":
            host = self.headers["Host"]
            self.send_response(401)
            self.send_header("WWW-Authenticate", f'Bearer realm="http://{host}/token",service="r"')
        else:
            self.send_response(200)
            self.send_header("Content-Type", self.kind)
            self.send_header("Docker-Content-Digest", digest_of(self.path))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not into the test's output."""


def digest_of(path: str) -> str:
    return "sha256:" + hashlib.sha256(path.encode()).hexdigest()


class TestImages:
    @pytest.fixture
    def registry(self) -> Iterator[str]:
        with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()

    @pytest.fixture
    def script(self, tmp_path: Path) -> Path:
        """The program in a checkout of its own."""
        for name in (".ci/images.py", "Dockerfile", "compose.yaml"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text((ROOT / name).read_text())
        return tmp_path / ".ci" / "images.py"

    def test_writes_the_digests_of_now(self, script: Path, registry: str) -> None:
        looked = run(script, "--check", REGISTRY=registry)
        assert (looked.returncode, looked.stdout) == (
            1,
            "Other digests now: Dockerfile, compose.yaml\n",
        )
        assert run(script, REGISTRY=registry).returncode == 0
        dockerfile = (script.parent.parent / "Dockerfile").read_text()
        python = digest_of("/v2/library/python/manifests/3.11-slim-bookworm")
        assert dockerfile.count(f"FROM python:3.11-slim-bookworm@{python}") == 3
        assert "AS packages" in dockerfile
        rabbit = digest_of("/v2/library/rabbitmq/manifests/3.13")
        assert (
            f"image: rabbitmq:3.13@{rabbit}\n"
            in (script.parent.parent / "compose.yaml").read_text()
        )
        again = run(script, "--check", REGISTRY=registry)
        assert (again.returncode, again.stdout) == (0, "The digests are of now.\n")

    def test_one_platforms_manifest_is_refused_and_nothing_changed(
        self, script: Path, registry: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kind = "application/vnd.oci.image.manifest.v1+json"
        monkeypatch.setattr(Registry, "kind", kind)
        done = run(script, REGISTRY=registry)
        assert done.returncode == 1
        assert f"answered '{kind}'" in done.stderr
        assert "Nothing was changed" in done.stderr
        changed = (script.parent.parent / "Dockerfile").read_text()
        assert changed == (ROOT / "Dockerfile").read_text()
