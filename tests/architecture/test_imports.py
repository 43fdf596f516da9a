"""Imports point one way: app → pages → auth → backend; in backend: edges → domains → … → core."""

import sys
from collections import defaultdict

import pytest

from tests.architecture.source import Module, modules

DOMAINS = {
    "backend.accounts",
    "backend.backup",
    "backend.changes",
    "backend.connections",
    "backend.user_sync",
    "backend.dms",
    "backend.mounts",
    "backend.tokenization",
    "backend.ingestion",
    "backend.notifications",
    "backend.search",
}
EDGES = {"backend.api", "backend.cli", "backend.mcp", "backend.sandbox"}
LOW = {"backend.models", "backend.core"}

#: room → rooms it may import, its own excepted (a room may always import itself).
ALLOWED: dict[str, set[str]] = {
    "backend.composition": {
        "backend.core",
        "backend.retention",
        "backend.jobs",
        "backend.models",
        "backend.api",
        "backend.cli",
        *DOMAINS,
    },
    "backend.retention": {"backend.core", "backend.models", *DOMAINS},
    "app": {"backend.lifespan", "pages", "auth", "backend.core", "backend.jobs", *EDGES, *DOMAINS},
    "pages": {"auth", "backend.core", "backend.jobs", "backend.sandbox", *DOMAINS},
    "auth": {"backend.core", "backend.accounts"},
    "backend.api": {
        "backend.composition",
        "backend.core",
        "backend.jobs",
        "backend.mcp",
        "backend.sandbox",
        *DOMAINS,
    },
    "backend.mcp": {"backend.core", "backend.jobs", *DOMAINS},
    "backend.cli": {
        "backend.mcp",
        "backend.composition",
        "backend.core",
        "backend.jobs",
        "backend.migrations",
        "backend.sandbox",
        *DOMAINS,
    },
    "backend.sandbox": {"backend.integrations", "backend.jobs", *LOW, *DOMAINS},
    **{
        domain: {"backend.integrations", "backend.jobs", *LOW, *(DOMAINS - {domain})}
        for domain in DOMAINS
    },
    "backend.integrations": {*LOW},
    "backend.jobs": {*LOW},
    "backend.migrations": {*LOW},
    "backend.models": {"backend.core"},
    "backend.core": set(),
    "backend": set(),
    "backend.__main__": {"backend.cli"},
    "backend.lifespan": {
        "backend.composition",
        "backend.core",
        "backend.jobs",
        "backend.sandbox",
        *DOMAINS,
    },
}

#: Slow to import, so inside functions of adapters only; the sandbox starts vendors' stand-ins.
HEAVY = {
    "boto3",
    "botocore",
    "databricks",
    "datahub",
    "datahub_actions",
    "metadata",
    "moto",
    "pandas",
    "pyspark",
}

#: Modules that only the official tools load: their base class is the vendor's, so it is imported
#: at the top, and nothing of the portal may import them.
PLUGINS = {"backend.user_sync.connector", "backend.tokenization.action"}

#: What the DMS client library may import besides the standard library; its wheel says so.
LIBRARY = {"pika", "pymysql", "sqlalchemy"}

#: (importing module, imported module) → why this arrow is right although the table has it not.
REASONS: dict[tuple[str, str], str] = {
    (
        "backend.core.startup",
        "backend.migrations.runner",
    ): "a new database is migrated at its start",
    (
        "backend.mounts.settings",
        "backend.sandbox.dms_broker",
    ): "the sandbox's broker lives in the process that mounts",
    (
        "backend.tokenization.action",
        "backend.composition",
    ): "the official command's process is an edge of its own",
}


def room(name: str) -> str | None:
    """The room of a module of ours; None for anybody else's."""
    if name == "app":
        return "app"
    parts = name.split(".")
    if parts[0] in ("pages", "auth"):
        return parts[0]
    if parts[0] == "backend":
        return ".".join(parts[:2])
    return None


def arrows():
    for module in modules().values():
        for imported in module.imports:
            if room(imported.target):
                yield module, imported


def test_every_room_is_in_the_table():
    unknown = {room(name) for name in modules()} - set(ALLOWED)
    assert not unknown, f"give these rooms a row in ALLOWED: {sorted(unknown)}"


def test_arrows_point_one_way():
    wrong = []
    for module, imported in arrows():
        here, there = room(module.name), room(imported.target)
        if here == there or there == "backend":  # the package itself: its version
            continue
        if there not in ALLOWED[here] and (module.name, imported.target) not in REASONS:
            wrong.append(f"{module.place}:{imported.line} {here} may not import {imported.target}")
    assert not wrong, "\n".join(wrong)


def test_reasons_are_still_needed():
    used = {(module.name, imported.target) for module, imported in arrows()}
    assert not set(REASONS) - used


def test_the_dms_client_is_a_library():
    """It is built as a wheel of its own, so it imports nothing of the portal, not even its name."""
    wrong = [
        f"{module.place}:{imported.line} imports {imported.target}"
        for module in modules().values()
        if room(module.name) == "backend.dms"
        for imported in module.imports
        for package in [imported.target.split(".")[0]]
        if package not in LIBRARY | sys.stdlib_module_names
        and not imported.target.startswith("backend.dms")
    ]
    absolute = [
        module.place
        for module in modules().values()
        if room(module.name) == "backend.dms" and "from backend" in module.path.read_text()
    ]
    assert not wrong + absolute, "\n".join(wrong + absolute)


def test_no_module_circles():
    graph: dict[str, set[str]] = defaultdict(set)
    for module, imported in arrows():
        # An import inside a function, or for types alone, hides a circle and does not undo it.
        if imported.target != module.name:
            graph[module.name].add(imported.target)
    circle = _first_circle(graph)
    assert not circle, " → ".join(circle)


def test_repositories_and_models_stay_in_their_rooms():
    wrong = []
    for module, imported in arrows():
        target, here = imported.target, room(module.name)
        last = target.rpartition(".")[2]
        if "repository" in last and here != room(target):
            wrong.append(f"{module.place}:{imported.line} imports {target} of another room")
    assert not wrong, "\n".join(wrong)


def test_one_vendor_does_not_know_another():
    wrong = [
        f"{module.place}:{imported.line} imports {imported.target}"
        for module, imported in arrows()
        if room(module.name) == room(imported.target) == "backend.integrations"
        and _vendor(imported.target)
        and _vendor(module.name) != _vendor(imported.target)
        and not _shared(imported.target)
    ]
    assert not wrong, "\n".join(wrong)


def test_a_page_does_not_import_from_another_page():
    """What two of them draw is in pages/shared; the frame around all of them is pages/shell."""
    common = ("pages.shared", "pages.shell", "pages")
    wrong = [
        f"{module.place}:{imported.line} imports {imported.target}"
        for module, imported in arrows()
        if module.name.startswith("pages.") and imported.target.startswith("pages.")
        for here, there in [(_folder(module.name), _folder(imported.target))]
        if here != there and there not in common
    ]
    assert not wrong, "\n".join(wrong)


def test_heavy_vendor_code_is_imported_inside_functions_of_adapters():
    wrong = []
    for module in modules().values():
        if not module.name.startswith("backend") or _is_plugin(module.name):
            continue
        for imported in module.imports:
            if imported.target.split(".")[0] not in HEAVY or imported.typing_only:
                continue
            if not imported.deferred:
                wrong.append(f"{module.place}:{imported.line} {imported.target} at module level")
            elif room(module.name) not in ("backend.integrations", "backend.sandbox"):
                wrong.append(f"{module.place}:{imported.line} {imported.target} outside adapters")
    assert not wrong, "\n".join(wrong)


def test_nothing_of_the_portal_imports_the_plugins_of_official_tools():
    wrong = [
        f"{module.place}:{imported.line} imports {imported.target}"
        for module, imported in arrows()
        if _is_plugin(imported.target) and not _is_plugin(module.name)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("streamlit", ("app", "pages", "auth")),
        ("streamlit_authenticator", ("auth",)),
        ("fastapi", ("app", "backend.api")),
        ("dramatiq", ("backend.jobs",)),
        ("apscheduler", ("backend.jobs", "backend.user_sync")),  # the latter reads cron expressions
        ("typer", ("backend.cli",)),
        ("alembic", ("backend.migrations",)),
    ],
)
def test_a_framework_stays_in_its_room(package, rooms):
    wrong = [
        f"{module.place}:{imported.line} imports {imported.target}"
        for module, imported in outside_imports(package)
        if room(module.name) not in rooms
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "package", ["sqlalchemy", "pika", "httpx", "pymysql", "psycopg2", *sorted(HEAVY)]
)
def test_pages_and_auth_draw_and_nothing_else(package):
    if package == "pandas":
        pytest.skip("pages turn views into tables with pandas")
    wrong = [
        f"{module.place}:{imported.line} imports {imported.target}"
        for module, imported in outside_imports(package)
        if room(module.name) in ("pages", "auth", "app")
    ]
    assert not wrong, "\n".join(wrong)


def outside_imports(package: str):
    for module in modules().values():
        for imported in module.imports:
            if imported.target.split(".")[0] == package and not imported.typing_only:
                yield module, imported


def _is_plugin(name: str) -> bool:
    return name in PLUGINS


def _folder(name: str) -> str:
    """ "pages.mounts" for pages.mounts.tables."""
    return ".".join(name.split(".")[:2])


def _vendor(name: str) -> str:
    return ".".join(name.split(".")[2:3])


def _shared(name: str) -> bool:
    """A plain module of backend/integrations (no vendor's package) is there for all of them."""
    vendor = f"backend.integrations.{_vendor(name)}"
    module: Module | None = modules().get(vendor)
    return module is not None and module.path.name != "__init__.py"


def _first_circle(graph: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            circle = walk(following, [*path, node])
            if circle:
                return circle
        done.add(node)
        return []

    for start in sorted(graph):
        circle = walk(start, [])
        if circle:
            return circle
    return []
