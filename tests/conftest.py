"""Sets the test process's environment before anything of the portal is imported."""

import atexit
import gc
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# A worker holds more than a million objects. By default Python goes through all of them every
# few tests, which was a seventh of the work.
gc.set_threshold(10_000, 10, 20)

_private = Path(tempfile.mkdtemp(prefix="portal-test-home-"))
atexit.register(shutil.rmtree, _private, ignore_errors=True)

#: Tests must not see what the person at the keyboard has configured.
_FOREIGN = ("PORTAL_", "DMS_", "DBX_", "KEYSTONE_", "AWS_", "DATAHUB_", "STREAMLIT_")
for _name in [name for name in os.environ if name.startswith(_FOREIGN)]:
    del os.environ[_name]
# Where Python may not write bytecode, each of the suite's processes compiles all it imports anew:
# more than a second of every command, ten of every worker.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ.setdefault("TEST_REAL_HOME", os.environ.get("HOME", ""))
os.environ.update(
    HOME=str(_private),
    PORTAL_DATA_DIR=str(_private / "state"),
    DATAHUB_TELEMETRY_ENABLED="false",
    AWS_EC2_METADATA_DISABLED="true",
    STREAMLIT_BROWSER_GATHER_USAGE_STATS="false",
)

import httpx  # noqa: E402  # after the environment is set
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from tests.fixtures import order  # noqa: E402

# What a test asks of a server is answered late when the whole machine stands still for seconds;
# httpx's 5 s are no proof of anything. The product names its own deadlines.
for _phase in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _phase, 60.0)

# Nor are hypothesis's 200 ms for an example.
if settings.get_current_profile_name() == "default":
    settings.register_profile("suite", deadline=None)
    settings.load_profile("suite")

pytest_plugins = [
    "tests.fixtures.shared",
    "tests.fixtures.servers",
    "tests.fixtures.browser",
    "tests.fixtures.database",
    "tests.fixtures.real_session",
    "tests.fixtures.pages",
    "tests.fixtures.portal",
    "tests.fixtures.mounts",
    "tests.fixtures.recipes",
    "tests.fixtures.breaking_tls",
]


@pytest.fixture(autouse=True, scope="session")
def _composed() -> None:
    """Every process of the portal does so at its start."""
    from backend import composition

    composition.install()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Nothing of what is collected is garbage; looking for some in it is a fifth of the work."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)  # of what is left to be run
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One worker begins with what uses the sandbox's portal, which it starts and keeps; the others
    begin with what is slow."""
    dear, slow, rest = list[pytest.Item](), list[pytest.Item](), list[pytest.Item]()
    for item in items:
        if "sandbox_portal" in getattr(item, "fixturenames", ()):
            dear.append(item)
        else:
            (slow if item.get_closest_marker("slow") else rest).append(item)
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = order.in_parts(dear, slow, rest, workers)


@pytest.fixture(autouse=True)
def _forget_process_state() -> Iterator[None]:
    """Caches of the process outlive a test; clear those of modules that are loaded.

    So do log handlers: one that a test put on the captured stderr would write to a closed file
    in every later test. And so does the page that Streamlit's AppTest makes the main module, which
    a process that a later test starts would run. And so do the trips to a provider that are
    counted for each address: every test comes from the same one.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
    root.handlers[:] = handlers
    root.setLevel(level)
    if "streamlit" in sys.modules:
        import streamlit as st

        st.cache_data.clear()
        st.cache_resource.clear()
    if "auth.oidc" in sys.modules:
        from auth import oidc

        oidc._TRIPS._buckets.clear()
    if "backend.core.settings" in sys.modules:
        from backend.core.settings import get_settings

        get_settings.cache_clear()
