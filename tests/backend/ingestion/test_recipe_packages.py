"""Environments of recipes: made once, whole or not at all, whatever happens in between."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.core.errors import JobError
from backend.core.settings import get_settings
from backend.ingestion import recipe_packages
from backend.jobs.errors import JobCancelled
from tests.fixtures.recipes import Ctx

WANTED, PLUGINS = ("demo[x]==1",), ("source:demo",)
#: Plays uv: `slow` holds an installation up, `broken` ends it, `dud` makes plugins fail.
UV = """#!/bin/sh
echo "$1 $2" >> {folder}/calls
[ "$1" = venv ] && for last; do :; done && mkdir -p "$last/bin" && cat > "$last/bin/python" <<'END'
#!/bin/sh
[ ! -f {folder}/dud ] || {{ echo "the source demo does not load: no module named x"; exit 1; }}
END
[ "$1" = venv ] && chmod +x "$last/bin/python"
if [ "$2" = compile ]; then
  for each; do [ "$before" = -o ] && echo "demo==1" > "$each"; before=$each; done
fi
if [ "$2" = install ]; then
  [ -f {folder}/broken ] && echo "error: no such package" && exit 2
  for each; do [ "$before" = -p ] && python=$each; before=$each; done
  echo $$ > {folder}/pid.new && mv {folder}/pid.new {folder}/pid
  echo Downloading demo
  while [ -f {folder}/slow ]; do sleep 0.1; done
  echo whole > "$(dirname "$python")/../installed"
fi
exit 0
"""


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what plays uv."""
    folder = tmp_path / "uv"
    folder.mkdir()
    (folder / "uv").write_text(UV.format(folder=folder))
    (folder / "uv").chmod(0o755)
    monkeypatch.setattr(recipe_packages, "UV", folder / "uv")
    monkeypatch.setenv("PORTAL_DATA_DIR", str(tmp_path / "state"))
    get_settings.cache_clear()
    return folder


def use(ctx: Ctx) -> Path:
    """The environment that a recipe would run in."""
    with recipe_packages.ready(ctx, WANTED, PLUGINS) as command:
        assert (Path(command[0]).parents[1] / "installed").read_text() == "whole\n"
        return Path(command[0]).parents[1]


def environments() -> list[str]:
    """Everything beside the locks, whole or not."""
    folder = get_settings().data_dir / "recipes" / "environments"
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 240  # one of them is a process that imports the portal
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def cancelled(ctx: Ctx, install: Callable[[Ctx], object], begun: Callable[[], object]) -> bool:
    """Whether an installation that is cancelled once it has begun ends as one that was."""
    ended = list[BaseException]()

    def work() -> None:
        try:
            install(ctx)
        except JobCancelled as exc:
            ended.append(exc)

    worker = threading.Thread(target=work)
    worker.start()
    until(begun)
    ctx.cancelled.set()
    worker.join(timeout=60)
    return len(ended) == 1


def test_it_is_made_once(uv: Path) -> None:
    ctx = Ctx()
    folder = use(ctx)
    assert use(ctx) == folder
    assert environments() == [folder.name]
    assert (uv / "calls").read_text().splitlines() == ["pip compile", "venv -q", "pip install"]
    assert "Downloading demo" in ctx.lines


def test_other_packages_are_another_environment(uv: Path) -> None:
    folder = use(Ctx())
    (uv / "uv").write_text((uv / "uv").read_text().replace("demo==1", "demo==2"))
    with recipe_packages.ready(Ctx(), ("demo[x]==2",), PLUGINS) as command:
        assert Path(command[0]).parents[1] != folder


def test_a_cancelled_installation_leaves_nothing(uv: Path) -> None:
    (uv / "slow").touch()
    assert cancelled(Ctx(), use, (uv / "pid").exists)
    assert environments() == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((uv / "pid").read_text()), 0)
    (uv / "slow").unlink()
    assert [use(Ctx()).name] == environments()


@pytest.mark.parametrize(
    ("fault", "said"), [("broken", "no such package"), ("dud", "demo does not load")]
)
def test_what_does_not_load_is_no_environment(uv: Path, fault: str, said: str) -> None:
    (uv / fault).touch()
    with pytest.raises(JobError, match=said):
        use(Ctx())
    assert environments() == []
    (uv / fault).unlink()
    use(Ctx())


def test_one_that_is_killed_in_the_middle_is_waited_for_and_replaced(uv: Path) -> None:
    """kill -9 leaves the installer at work: its half is neither used nor shared."""
    (uv / "slow").touch()
    script = (
        "from pathlib import Path\n"
        "from tests.backend.ingestion.test_recipe_packages import Ctx, recipe_packages, use\n"
        f"recipe_packages.UV = Path({str(uv / 'uv')!r})\n"
        "use(Ctx())\n"
    )
    killed = subprocess.Popen([sys.executable, "-c", script])
    until((uv / "pid").exists)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(timeout=60)
    [half] = environments()
    ctx, made = Ctx(), list[Path]()
    worker = threading.Thread(target=lambda: made.append(use(ctx)))
    worker.start()
    until(lambda: "Another job makes this environment; waiting for it." in ctx.lines)
    assert environments() == [half]
    (uv / "slow").unlink()
    worker.join(timeout=60)
    assert environments() == [made[0].name]
    assert (uv / "calls").read_text().splitlines().count("pip install") == 2


def test_two_at_once_make_one(uv: Path) -> None:
    made = list[Path]()
    workers = [threading.Thread(target=lambda: made.append(use(Ctx()))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert made == [made[0]] * 4
    assert (uv / "calls").read_text().splitlines().count("pip install") == 1


def test_what_was_not_used_for_a_month_goes_when_another_is_made(uv: Path) -> None:
    old = use(Ctx())
    mark = old.with_suffix(".held")
    os.utime(mark, (0, 0))
    (uv / "uv").write_text((uv / "uv").read_text().replace("demo==1", "demo==2"))
    with recipe_packages.ready(Ctx(), ("demo[x]==2",), PLUGINS) as command:
        assert environments() == [Path(command[0]).parents[1].name]
