"""Every domain registers what it has, and what it registers exists."""

import importlib.util
import pkgutil

import pytest

from backend import composition
from backend.api import routes
from backend.composition import DOMAINS, Domain
from backend.core import alerts, secret_rotation
from backend.core.access import Permission
from backend.core.crypto import SEALED
from backend.core.database import Base
from backend.jobs import registry, schedule

NAMES = [domain.name for domain in DOMAINS]


@pytest.mark.parametrize("domain", DOMAINS, ids=NAMES)
class TestDomain:
    def test_what_it_names_exists(self, domain: Domain) -> None:
        tasks, alert_source = domain.tasks(), domain.alerts()
        assert tasks is None or tasks.__name__ == f"backend.{domain.name}.tasks"
        assert alert_source is None or callable(alert_source)

    @pytest.mark.parametrize("part", ["tasks", "alerts"])
    def test_names_what_it_has(self, domain: Domain, part: str) -> None:
        has = importlib.util.find_spec(f"backend.{domain.name}.{part}") is not None
        assert has == (getattr(domain, part)() is not None)

    def test_its_tasks_register_under_its_name(self, domain: Domain) -> None:
        if domain.tasks() is None:
            return
        names = [name for name, kind in registry._kinds.items() if _from(kind.function, domain)]
        names += [t.name for t in schedule._tasks.values() if _from(t.function, domain)]
        assert names
        assert {name.partition(".")[0] for name in names} == {domain.name}


def _from(function: object, domain: Domain) -> bool:
    return str(getattr(function, "__module__", "")).startswith(f"backend.{domain.name}.")


def test_every_router_is_registered() -> None:
    registered = [router for _prefix, router in composition.routers()]
    assert all(router.routes for router in registered)
    modules = [module.name for module in pkgutil.iter_modules(routes.__path__)]
    found = {name: importlib.import_module(f"{routes.__name__}.{name}") for name in modules}
    left = {n for n, module in found.items() if getattr(module, "router", None) not in registered}
    assert left == {"health", "metrics", "user_sync_requests"}  # of the app itself; without a route


def test_every_command_is_one() -> None:
    assert all(callable(command) for command in composition.commands().values())


def test_every_table_with_ciphertext_has_one_owner() -> None:
    owners = composition._secret_owners()
    sealed = {
        table.name
        for table in Base.metadata.tables.values()
        if any(column.info == SEALED for column in table.columns)
    }
    assert sealed == {"system_secrets", *owners}
    assert {
        "changes",
        "connection_secrets",
        "ingestion_schedules",
        "mount_requests",
        "mount_targets",
        "notification_channels",
        "provider_sessions",
        "second_factors",
    } == set(owners)


def test_columns_that_look_like_ciphertext_are_marked() -> None:
    composition._secret_owners()
    unmarked = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name in ("ciphertext", "secret_ref") and column.info != SEALED
    ]
    assert not unmarked


class TestCheck:
    """What happens at import, called again."""

    def test_a_package_that_registers_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(composition, "DOMAINS", DOMAINS[1:])
        with pytest.raises(ImportError, match=r"does not fit backend/: {'connections'}"):
            composition._check()

    def test_a_domain_without_a_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(composition, "DOMAINS", (*DOMAINS, Domain("ghost")))
        with pytest.raises(ImportError, match=r"does not fit backend/: {'ghost'}"):
            composition._check()

    def test_a_permission_that_nobody_owns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        others = tuple(domain for domain in DOMAINS if domain.name != "backup")
        backup = Domain("backup", (Permission.BACKUP_MAKE,))
        monkeypatch.setattr(composition, "DOMAINS", (*others, backup))
        with pytest.raises(ImportError, match=r"not owned by exactly one .*BACKUP_RESTORE"):
            composition._check()


class TestWithout:
    """Before `install` nothing is quietly empty."""

    def test_alerts_do_not_say_that_all_is_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(alerts, "_sources", None)
        with pytest.raises(RuntimeError, match="no alert sources"):
            alerts.collect(None, None)  # type: ignore[arg-type]  # refused before it looks

    def test_a_worker_does_not_start_with_nothing_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry, "_loaders", {})
        with pytest.raises(RuntimeError, match="no jobs"):
            registry.load_all()

    def test_rotation_leaves_no_table_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        composition._secret_owners()
        with pytest.raises(RuntimeError, match="connection_secrets"):
            secret_rotation._check_complete({"system_secrets": lambda *_: 0})
