"""API tokens: shown once, stored hashed, bound to a role, revocable, with last use."""

import contextvars
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from backend.accounts import api_tokens, audit_log
from backend.accounts.audit_log import AuditFilter
from backend.accounts.schemas import ApiTokenView, NewApiToken
from backend.connections import environments, resolve
from backend.core import access
from backend.core.access import SYSTEM, Actor, Permission, Role
from backend.core.database import Database
from backend.core.errors import InvalidInput, NotAuthenticated, NotFound, NotPermitted
from backend.core.log import mask_text
from backend.models.accounts import ApiToken
from tests.backend.accounts.conftest import MoveClock


def add(database: Database, role: str = "operator", days: int = 90) -> NewApiToken:
    with database.write() as session:
        return api_tokens.add(session, SYSTEM, name="nightly job", role=role, days=days)


def use(database: Database, raw: str) -> Actor:
    with database.read() as session:
        return api_tokens.authenticate(session, raw)


def listed(database: Database) -> ApiTokenView:
    with database.read() as session:
        return api_tokens.list_tokens(session, SYSTEM).items[0]


class TestAuthenticate:
    def test_answers_an_actor_with_the_tokens_role(self, database: Database) -> None:
        made = add(database)
        assert use(database, made.raw) == Actor(
            id=made.view.id, name="nightly job", role=Role.OPERATOR, kind="api_token"
        )

    @settings(
        max_examples=100,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.one_of(st.text(max_size=90), st.from_regex(r"spt_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")))
    def test_refuses_anything_else_with_one_sentence(self, database: Database, raw: str) -> None:
        with pytest.raises(NotAuthenticated, match="missing, unknown, expired or revoked"):
            use(database, raw)

    def test_a_right_prefix_alone_is_nothing(self, database: Database) -> None:
        raw = add(database).raw
        for wrong in (
            raw[:-1],
            raw[:-1] + ("A" if raw[-1] != "A" else "B"),
            raw + "x",
            raw.upper(),
        ):
            with pytest.raises(NotAuthenticated, match="missing, unknown, expired or revoked"):
                use(database, wrong)

    def test_a_revoked_one_is_refused_at_once(self, database: Database) -> None:
        made = add(database)
        with database.write() as session:
            api_tokens.revoke(session, SYSTEM, token_id=made.view.id)
        with pytest.raises(NotAuthenticated, match="missing, unknown, expired or revoked"):
            use(database, made.raw)

    def test_ends_with_its_last_day(self, database: Database, move_clock: MoveClock) -> None:
        made = add(database, days=1)
        move_clock(timedelta(hours=23))
        use(database, made.raw)
        move_clock(timedelta(hours=1))
        with pytest.raises(NotAuthenticated, match="missing, unknown, expired or revoked"):
            use(database, made.raw)

    def test_remembers_the_last_use_once_a_minute_at_most(
        self, database: Database, move_clock: MoveClock
    ) -> None:
        made = add(database)
        assert listed(database).last_used_at is None
        use(database, made.raw)
        first = listed(database).last_used_at
        move_clock(timedelta(seconds=30))
        use(database, made.raw)
        assert listed(database).last_used_at == first
        move_clock(timedelta(seconds=31))
        use(database, made.raw)
        assert listed(database).last_used_at != first

    def test_never_holds_a_connection_while_it_waits_for_another(
        self, any_database: Database
    ) -> None:
        """Two hundred first requests at once were answered by none: each held one, wanted one."""
        made = add(any_database)
        held, most = [0], [0]

        @event.listens_for(any_database.engine, "checkout")
        def _taken(*_: object) -> None:
            held[0] += 1
            most[0] = max(most[0], held[0])

        @event.listens_for(any_database.engine, "checkin")
        def _given(*_: object) -> None:
            held[0] -= 1

        use(any_database, made.raw)
        assert listed(any_database).last_used_at is not None
        assert (held[0], most[0]) == (0, 1)

    def test_works_inside_a_unit_of_work_that_writes(self, any_database: Database) -> None:
        made = add(any_database)
        with any_database.write() as session:
            assert api_tokens.authenticate(session, made.raw).role is Role.OPERATOR
        assert listed(any_database).last_used_at is not None


class TestAdd:
    def test_the_token_is_stored_nowhere(self, database: Database) -> None:
        made = add(database)
        secret = made.raw.rsplit("_", 1)[-1] if made.raw.count("_") == 2 else made.raw[17:]
        with database.write() as session:
            row = session.scalars(select(ApiToken)).one()
            exported = audit_log.export_csv(session, SYSTEM, filters=AuditFilter()).text
        assert secret not in str(vars(row)) + exported + str(made.view)

    def test_a_token_in_a_log_line_is_masked(self, database: Database) -> None:
        raw = add(database).raw
        assert raw not in mask_text(f"the caller sent {raw} twice")

    @pytest.mark.parametrize("days", [0, -1, 99_999])
    def test_refuses_impossible_days(self, database: Database, days: int) -> None:
        with pytest.raises(InvalidInput, match="days"):
            add(database, days=days)

    def test_refuses_an_unknown_role(self, database: Database) -> None:
        with pytest.raises(InvalidInput, match="'root' is no role; choose viewer"):
            add(database, role="root")


class TestRevoke:
    def test_says_who_and_is_audited_once(self, database: Database) -> None:
        made = add(database)
        for _ in range(2):
            with database.write() as session:
                view = api_tokens.revoke(session, SYSTEM, token_id=made.view.id)
        assert view.revoked_by == "system"
        with database.read() as session:
            wanted = AuditFilter(action="accounts:api_token:revoke")
            assert len(audit_log.list_events(session, SYSTEM, filters=wanted).items) == 1

    def test_an_unknown_one_is_not_found(self, database: Database) -> None:
        with pytest.raises(NotFound), database.write() as session:
            api_tokens.revoke(session, SYSTEM, token_id=77)


class TestLimits:
    @pytest.fixture(autouse=True)
    def _environments(self, database: Database) -> None:
        with database.write() as session:
            for name in ("Staging", "Production"):
                environments.add(session, SYSTEM, name=name)

    def made(self, database: Database, **limits: list[str]) -> NewApiToken:
        with database.write() as session:
            return api_tokens.add(session, SYSTEM, name="narrow", role="steward", **limits)

    def test_an_area_stands_for_its_actions_of_the_role(self, database: Database) -> None:
        made = self.made(database, actions=["tokenization", "user_sync:plan:read"])
        assert made.view.actions == [
            "tokenization:run:read",
            "tokenization:table:preview",
            "tokenization:table:run",
            "user_sync:plan:read",
        ]
        actor = use(database, made.raw)
        access.require(actor, Permission.TOKENIZATION_RUN)
        with pytest.raises(NotPermitted, match=r"other actions.*user_sync:plan:apply"):
            access.require(actor, Permission.USER_SYNC_APPLY)

    def test_one_that_may_only_ask_does_nothing_by_itself(self, database: Database) -> None:
        with database.write() as session:
            made = api_tokens.add(session, SYSTEM, name="bot", role="steward", ask_only=True)
        actor = use(database, made.raw)
        access.require(actor, Permission.TOKENIZATION_PREVIEW)
        with pytest.raises(NotPermitted, match="may look and ask for changes only"):
            access.require(actor, Permission.TOKENIZATION_RUN)
        access.require_to_ask(actor, Permission.TOKENIZATION_RUN)

    @pytest.mark.parametrize("limits", [{"environments": ["Staging"]}, {"actions": ["accounts"]}])
    def test_an_admins_limited_one_makes_none_without_limits(
        self, database: Database, limits: dict[str, list[str]]
    ) -> None:
        with database.write() as session:
            made = api_tokens.add(session, SYSTEM, name="narrow", role="admin", **limits)
        actor = use(database, made.raw)
        with (
            database.write() as session,
            pytest.raises(NotPermitted, match="a limited token makes no accounts and no tokens"),
        ):
            api_tokens.add(session, actor, name="wide", role="admin")
        with pytest.raises(NotPermitted, match="a limited token makes no accounts"):
            access.require(actor, Permission.ACCOUNTS_WRITE)
        with database.write() as session, pytest.raises(InvalidInput, match="has no action"):
            action = Permission.API_TOKENS_WRITE.value
            api_tokens.add(session, SYSTEM, name="x", role="admin", actions=[action])

    @pytest.mark.parametrize("action", ["mounts:mount:write", "tokenizatio", "nonsense", ":"])
    def test_one_that_the_role_has_not_is_refused(self, database: Database, action: str) -> None:
        with pytest.raises(InvalidInput, match="token of the role steward has no action"):
            self.made(database, actions=[action])
        with database.read() as session:
            assert api_tokens.list_tokens(session, SYSTEM).items == []

    def test_only_its_environments_can_be_resolved(self, database: Database) -> None:
        actor = use(database, self.made(database, environments=["staging"]).raw)
        assert listed(database).environments == ["Staging"]

        def look() -> None:
            access.limit_environments(actor)
            with database.read() as session:
                assert resolve.environment(session, "Staging").name == "Staging"
                names = [each.name for each in environments.list_all(session, actor)]
                assert names == ["Staging"]
                for name in ("Production", "production"):
                    with pytest.raises(
                        NotPermitted, match="limited to other environments than Pro"
                    ):
                        resolve.environment(session, name)
                other = environments.get(session, SYSTEM, name="Staging").id + 1
                with pytest.raises(NotPermitted, match="limited to other environments"):
                    resolve.find_in(session, other, kind="datahub")

        contextvars.copy_context().run(look)
        with database.read() as session:  # the limit is that request's alone
            assert resolve.environment(session, "Production").name == "Production"

    def test_an_environment_that_is_gone_opens_no_other(self, database: Database) -> None:
        actor = use(database, self.made(database, environments=["Staging"]).raw)
        with database.write() as session:
            environments.remove(session, SYSTEM, name="Staging", confirm_name="Staging")
            environments.add(session, SYSTEM, name="Staging")
        assert listed(database).environments[0].startswith("deleted (")

        def look() -> None:
            access.limit_environments(actor)
            with database.read() as session, pytest.raises(NotPermitted):
                resolve.environment(session, "Staging")

        contextvars.copy_context().run(look)

    def test_remembers_where_it_was_used_from(self, database: Database) -> None:
        made = add(database)
        with database.read() as session:
            api_tokens.authenticate(session, made.raw, address="10.1.2.3")
        assert listed(database).last_address == "10.1.2.3"
