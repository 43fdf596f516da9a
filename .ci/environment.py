"""Build or refresh `.venv` from a lock file: python3 .ci/environment.py requirements.txt

With `steward` instead of a file it only makes the portal known to an existing `.venv`.

Uses only the standard library. pip brings uv (from pip's own index), uv brings the rest. Where uv
has no setting of its own it is given pip's: index, certificate bundle, trusted hosts.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")

#: pip's option → the variable that tells uv the same, and others that would already have told it.
_SAME_FOR_UV = {
    "index-url": ("UV_DEFAULT_INDEX", ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE")),
    "cert": ("SSL_CERT_FILE", ("SSL_CERT_FILE", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS")),
    "trusted-host": ("UV_INSECURE_HOST", ("UV_INSECURE_HOST",)),
}


def ensure_venv() -> None:
    """A `.venv` whose interpreter runs and is new enough; anything else is made anew."""
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    python = BIN / "python"
    if python.exists() and subprocess.run([python, "-c", check], check=False).returncode == 0:
        return
    say(f"creating .venv with Python {sys.version.split()[0]}")
    if VENV.exists():
        shutil.rmtree(VENV)
    try:
        venv.create(VENV, with_pip=True)
    except (subprocess.CalledProcessError, ImportError, OSError) as exc:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(
            f"The virtual environment could not be made ({exc}). On Debian and Ubuntu the module "
            "venv is a package of its own: apt-get install python3-venv"
        )


def ensure_uv() -> None:
    """uv as the lock file pins it, hashes included."""
    lock = (ROOT / "requirements-build.txt").read_text()
    wanted = re.search(r"^uv==(\S+)(?: *\\\n +--hash=\S+)+", lock, re.MULTILINE)
    if wanted is None:
        sys.exit("requirements-build.txt has no line for uv with its hashes: make lock")
    uv = BIN / "uv"
    if uv.exists():
        version = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
        if version.stdout.split()[1:2] == [wanted[1]]:
            return
    say(f"installing uv {wanted[1]}")
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "uv.txt"
        pinned.write_text(wanted[0] + "\n")
        pip = [BIN / "python", "-m", "pip", "install", "--quiet"]
        run([*pip, "--force-reinstall", "--require-hashes", "--no-deps", "-r", pinned], os.environ)


def environment_for_uv() -> dict[str, str]:
    """This environment, with pip's settings added where uv has none of its own."""
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV)}
    told_by_file = _uv_has_an_index_in_a_file()
    for option, value in pip_settings().items():
        variable, instead = _SAME_FOR_UV[option]
        if any(environment.get(name) for name in instead):
            continue
        if option == "index-url" and told_by_file:
            continue
        environment[variable] = value
    return environment


def pip_settings() -> dict[str, str]:
    """pip's index-url, cert and trusted-host; of several, the one that pip lists last counts."""
    listing = subprocess.run(
        [BIN / "python", "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found: dict[str, str] = {}
    for line in listing.splitlines():
        name, _, quoted = line.partition("=")
        section, _, option = name.rpartition(".")
        if option in _SAME_FOR_UV and (section in ("global", "install", ":env:")):
            found[option] = quoted.strip().strip("'\"")
    return found


def _uv_has_an_index_in_a_file() -> bool:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    files = [home / "uv" / "uv.toml", Path("/etc/uv/uv.toml"), ROOT / "uv.toml"]
    return any(
        re.search(r"^\s*(\[\[index\]\]|index-url|default-index)", file.read_text(), re.MULTILINE)
        for file in files
        if file.is_file()
    )


def run(command: list, environment: "os._Environ[str] | dict[str, str]") -> None:
    done = subprocess.run([str(part) for part in command], env=dict(environment), check=False)
    if done.returncode:
        sys.exit(
            f"{Path(command[0]).name} could not install (see above). The portal needs a Python "
            "package index: pip's configured one, or the public one."
        )


#: The short name of the command line; run from anywhere it means this checkout's state.
_STEWARD = """#!{python}
import os
import sys

sys.path.insert(0, {root!r})
os.environ.setdefault("PORTAL_DATA_DIR", os.path.join({root!r}, "data", "state"))
os.umask(0o077)  # what a command writes is its owner's alone
from backend.cli.main import main

sys.exit(main())
"""


def make_known() -> None:
    """`steward` beside the environment's Python, the same as `python -m backend`; and this folder
    behind the packages, for commands of theirs that load a class of ours (`metadata ingest`)."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    asked = subprocess.run(
        [BIN / "python", "-c", where], capture_output=True, text=True, check=True
    )
    (Path(asked.stdout.strip()) / "steward_portal.pth").write_text(f"{ROOT}\n")
    script = BIN / "steward"
    script.write_text(_STEWARD.format(python=BIN / "python", root=str(ROOT)))
    script.chmod(0o755)


def say(sentence: str) -> None:
    sys.stderr.write(f"· {sentence}\n")
    sys.stderr.flush()


def main() -> None:
    lock = sys.argv[1]
    if lock == "steward":
        make_known()
        return
    ensure_venv()
    ensure_uv()
    say(f"installing {lock}")
    install = [BIN / "uv", "pip", "install", "--quiet", "--require-hashes"]
    install += ["--build-constraint", ROOT / "requirements-build.txt"]
    run([*install, "-r", ROOT / lock], environment_for_uv())
    make_known()


if __name__ == "__main__":
    main()
