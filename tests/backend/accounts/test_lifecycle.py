"""Rename, link, unlink, merge and delete: what opens an account afterwards, and what never ends."""

import pytest

from backend.accounts import (
    api_tokens,
    audit_log,
    external,
    identity,
    lifecycle,
    service,
    sessions,
    sign_in,
)
from backend.accounts.audit_log import AuditFilter
from backend.accounts.external import Identity, IdentityTaken
from backend.accounts.service import ChangedMeanwhile, LastAdmin, NameTaken
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import Conflict, InvalidInput, NotAuthenticated, NotFound, NotPermitted
from tests.backend.accounts.conftest import PASSWORD, AddAccount

ISSUER = "https://idp.example.org"


def from_provider(database: Database, subject: str, name: str, role: Role = Role.STEWARD) -> Actor:
    with database.write() as session:
        person = Identity(ISSUER, subject, name)
        return external.sign_in(session, identity=person, role=role, address="10.0.0.1")


def version_of(database: Database, name: str) -> int:
    with database.read() as session:
        return service.get_by_name(session, SYSTEM, name=name).version


def names(database: Database) -> list[str]:
    with database.read() as session:
        return [view.name for view in service.list_accounts(session, SYSTEM).items]


def audited(database: Database, verb: str) -> list[str]:
    with database.read() as session:
        filters = AuditFilter(action=f"accounts:account:{verb}")
        return [
            row.subject for row in audit_log.list_events(session, SYSTEM, filters=filters).items
        ]


class TestRename:
    def rename(self, database: Database, account_id: int, name: str, version: int = 1) -> None:
        with database.write() as session:
            lifecycle.rename(session, SYSTEM, account_id=account_id, name=name, version=version)

    def test_the_new_name_signs_in_and_the_old_one_is_free(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account("ann")
        self.rename(database, ann.id, "Anna")
        entered = sign_in.authenticate(database, name="anna", password=PASSWORD, address="")
        assert entered.id == ann.id
        with pytest.raises(NotAuthenticated):
            sign_in.authenticate(database, name="ann", password=PASSWORD, address="")
        assert add_account("ann").id != ann.id
        assert audited(database, "rename") == ["account Anna"]

    def test_stays_although_the_provider_says_another(self, any_database: Database) -> None:
        person = from_provider(any_database, "1", "ann@example.org")
        self.rename(any_database, person.id, "Ann Example")
        from_provider(any_database, "1", "other@example.org")
        assert names(any_database) == ["Ann Example"]

    def test_of_somebody_else_and_of_an_old_page_are_refused(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann, _ben = add_account("ann"), add_account("Ben")
        with pytest.raises(NameTaken):
            self.rename(database, ann.id, "BEN")
        with pytest.raises(ChangedMeanwhile):
            self.rename(database, ann.id, "x", version=7)
        with pytest.raises(InvalidInput, match="printable"):
            self.rename(database, ann.id, "a\nb")
        self.rename(database, ann.id, "ANN")  # the same name in other letters
        assert names(database) == ["ANN", "Ben"]

    def test_a_token_keeps_its_maker(self, database: Database, add_account: AddAccount) -> None:
        ann = add_account("ann", Role.ADMIN)
        actor = Actor(ann.id, "ann", Role.ADMIN, "user")
        with database.write() as session:
            token = api_tokens.add(session, actor, name="ci", role="steward").view
        self.rename(database, ann.id, "anna")
        with database.read() as session:
            found = identity.of(session, kind="api_token", id=token.id, name="ci")
        assert f"user:{ann.id}" in found.keys


class TestLink:
    def link(self, database: Database, account_id: int, subject: str = "1") -> None:
        with database.write() as session:
            lifecycle.link(
                session, SYSTEM, account_id=account_id, issuer=ISSUER, subject=subject, version=1
            )

    def test_the_person_opens_the_account_with_its_name_and_role(
        self, any_database: Database
    ) -> None:
        with any_database.write() as session:
            ann = service.create(session, SYSTEM, name="ann", role="operator", password=PASSWORD)
        self.link(any_database, ann.id)
        entered = from_provider(any_database, "1", "whatever", Role.VIEWER)
        assert (entered.id, entered.name, entered.role) == (ann.id, "ann", Role.OPERATOR)
        assert names(any_database) == ["ann"]
        with any_database.read() as session:
            (one,) = lifecycle.list_identities(session, SYSTEM, account_id=ann.id)
        assert one.issuer == ISSUER

    def test_of_who_opens_an_account_already_is_refused(self, any_database: Database) -> None:
        from_provider(any_database, "1", "ann")
        with any_database.write() as session:
            ben = service.create(session, SYSTEM, name="ben", role="viewer", password=PASSWORD)
        with pytest.raises(IdentityTaken):
            self.link(any_database, ben.id)
        assert from_provider(any_database, "1", "ann").name == "ann"

    @pytest.mark.parametrize(
        ("issuer", "subject", "sentence"),
        [("idp", "1", "issuer"), (ISSUER, " ", "subject"), (ISSUER, "a\nb", "subject")],
    )
    def test_needs_an_address_and_a_subject(
        self, database: Database, add_account: AddAccount, issuer: str, subject: str, sentence: str
    ) -> None:
        ann = add_account("ann")
        with database.write() as session, pytest.raises(InvalidInput, match=sentence):
            lifecycle.link(
                session, SYSTEM, account_id=ann.id, issuer=issuer, subject=subject, version=1
            )

    def test_unlink_ends_the_sessions_and_the_way_in(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account("ann")
        self.link(database, ann.id)
        with database.write() as session:
            raw = sessions.open_session(session, account_id=ann.id, address="", user_agent="")
            (one,) = lifecycle.list_identities(session, SYSTEM, account_id=ann.id)
            lifecycle.unlink(session, SYSTEM, account_id=ann.id, identity_id=one.id, version=2)
        with database.read() as session:
            assert sessions.actor_for(session, raw) is None
        assert from_provider(database, "1", "ann").id != ann.id

    def test_the_only_way_in_is_not_unlinked(self, database: Database) -> None:
        person = from_provider(database, "1", "ann")
        with database.write() as session:
            (one,) = lifecycle.list_identities(session, SYSTEM, account_id=person.id)
            with pytest.raises(Conflict, match="Nothing else opens"):
                lifecycle.unlink(
                    session, SYSTEM, account_id=person.id, identity_id=one.id, version=1
                )
            with pytest.raises(NotFound):
                lifecycle.unlink(
                    session, SYSTEM, account_id=person.id, identity_id=one.id + 1, version=1
                )


class TestMerge:
    def test_both_people_open_the_one_that_goes_on(self, any_database: Database) -> None:
        first = from_provider(any_database, "1", "ann")
        second = from_provider(any_database, "2", "ann")
        assert names(any_database) == ["ann", "ann (2)"]
        with any_database.write() as session:
            raw = sessions.open_session(session, account_id=second.id, address="", user_agent="")
            view = lifecycle.merge(session, SYSTEM, account_id=second.id, into="ann", version=1)
        assert view.id == first.id
        with any_database.read() as session:
            assert sessions.actor_for(session, raw) is None
        assert {from_provider(any_database, one, "ann").id for one in ("1", "2")} == {first.id}
        assert names(any_database) == ["ann"]
        assert audited(any_database, "merge") == ["account ann (2)"]
        assert audited(any_database, "take_in") == ["account ann"]

    def test_into_itself_and_ones_own_are_refused(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann, _ben = add_account("ann", Role.ADMIN), add_account("ben", Role.ADMIN)
        own = Actor(ann.id, "ann", Role.ADMIN, "user")
        with database.write() as session:
            with pytest.raises(Conflict, match="into itself"):
                lifecycle.merge(session, SYSTEM, account_id=ann.id, into="ann", version=1)
            with pytest.raises(Conflict, match="your own"):
                lifecycle.merge(session, own, account_id=ann.id, into="ben", version=1)
            with pytest.raises(NotFound):
                lifecycle.merge(session, SYSTEM, account_id=ann.id, into="nobody", version=1)


class TestDelete:
    def test_nothing_opens_it_and_the_name_is_free(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account("ann")
        with database.write() as session:
            raw = sessions.open_session(session, account_id=ann.id, address="", user_agent="")
            lifecycle.delete(session, SYSTEM, account_id=ann.id, version=1)
        with database.read() as session:
            assert sessions.actor_for(session, raw) is None
            assert identity.of(session, kind="user", id=ann.id, name="ann").actor is None
        with pytest.raises(NotAuthenticated):
            sign_in.authenticate(database, name="ann", password=PASSWORD, address="")
        assert names(database) == []
        assert audited(database, "delete") == ["account ann"]
        assert add_account("ann").id != ann.id, "its number names nobody else"

    def test_a_deleted_one_is_not_enabled_again(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account("ann")
        with database.write() as session:
            lifecycle.delete(session, SYSTEM, account_id=ann.id, version=1)
            with pytest.raises(NotFound):
                service.set_disabled(session, SYSTEM, account_id=ann.id, disabled=False, version=2)

    def test_the_last_admin_stays(self, database: Database, add_account: AddAccount) -> None:
        ann, ben = add_account("ann", Role.ADMIN), add_account("ben")
        with database.write() as session:
            with pytest.raises(LastAdmin):
                lifecycle.delete(session, SYSTEM, account_id=ann.id, version=1)
            with pytest.raises(LastAdmin):
                lifecycle.merge(session, SYSTEM, account_id=ann.id, into=ben.name, version=1)

    def test_whom_the_provider_still_sends_gets_a_new_account(self, database: Database) -> None:
        first = from_provider(database, "1", "ann")
        with database.write() as session:
            lifecycle.delete(session, SYSTEM, account_id=first.id, version=1)
        again = from_provider(database, "1", "ann")
        assert (again.name, again.id == first.id) == ("ann", False)


class TestAccountsOfTokens:
    """A token of an admin ends accounts for as long as the admin is one, and never their own."""

    def token(self, database: Database, maker: Actor, **limits: object) -> Actor:
        with database.write() as session:
            made = api_tokens.add(session, maker, name="ci", role="admin", **limits)  # type: ignore[arg-type]  # whatever a test limits it to
        with database.read() as session:
            return api_tokens.authenticate(session, made.raw)

    def delete(self, database: Database, actor: Actor, account_id: int) -> None:
        with database.write() as session:
            lifecycle.delete(session, actor, account_id=account_id, version=1)

    @pytest.fixture
    def ann(self, add_account: AddAccount) -> Actor:
        add_account("zoe", Role.ADMIN)
        return Actor(add_account("ann", Role.ADMIN).id, "ann", Role.ADMIN, "user")

    def test_an_admins_token_deletes(
        self, database: Database, add_account: AddAccount, ann: Actor
    ) -> None:
        self.delete(database, self.token(database, ann), add_account("ben").id)
        assert names(database) == ["ann", "zoe"]

    def test_not_the_account_of_its_maker(self, database: Database, ann: Actor) -> None:
        with pytest.raises(Conflict, match="your own"):
            self.delete(database, self.token(database, ann), ann.id)

    @pytest.mark.parametrize("limits", [{"actions": ["audit"]}, {"ask_only": True}])
    def test_not_a_limited_one(
        self,
        database: Database,
        add_account: AddAccount,
        ann: Actor,
        limits: dict[str, object],
    ) -> None:
        token, ben = self.token(database, ann, **limits), add_account("ben")
        with pytest.raises(NotPermitted, match="accounts:account:write"):
            self.delete(database, token, ben.id)
        with database.write() as session, pytest.raises(NotPermitted, match="account:write"):
            lifecycle.merge(session, token, account_id=ben.id, into="zoe", version=1)

    def test_not_that_of_a_former_admin_nor_of_a_namesake_of_theirs(
        self, database: Database, add_account: AddAccount, ann: Actor
    ) -> None:
        token, ben = self.token(database, ann), add_account("ben")
        with database.write() as session:
            service.set_role(session, SYSTEM, account_id=ann.id, role="viewer", version=1)
        with pytest.raises(NotPermitted, match="made by ann, who is no admin any more"):
            self.delete(database, token, ben.id)
        with database.write() as session:
            lifecycle.delete(session, SYSTEM, account_id=ann.id, version=2)
        add_account("ann", Role.ADMIN)
        with pytest.raises(NotPermitted, match="made by ann, who is no admin any more"):
            self.delete(database, token, ben.id)


class TestTokensOfWhoIsGone:
    """They are the portal's (docs/adr/0015): they go on, are named, and can be ended with it."""

    @pytest.fixture
    def ann(self, database: Database, add_account: AddAccount) -> Actor:
        add_account("zoe", Role.ADMIN)
        ann = Actor(add_account("ann", Role.ADMIN).id, "ann", Role.ADMIN, "user")
        with database.write() as session:
            api_tokens.add(session, SYSTEM, name="other", role="viewer")
            for name in ("ci", "nightly"):
                api_tokens.add(session, ann, name=name, role="viewer")
        return ann

    def said(self, database: Database, **filters: int) -> dict[str, tuple[str, str]]:
        with database.read() as session:
            page = api_tokens.list_tokens(session, SYSTEM, **filters)
        return {view.name: (view.state, view.made_by) for view in page.items}

    def test_they_go_on_and_say_so(self, database: Database, ann: Actor) -> None:
        with database.write() as session:
            service.set_disabled(session, SYSTEM, account_id=ann.id, disabled=True, version=1)
        assert self.said(database)["ci"] == ("valid", "ann (disabled)")
        with database.write() as session:
            lifecycle.delete(session, SYSTEM, account_id=ann.id, version=2)
        assert self.said(database) == {
            "nightly": ("valid", "ann (deleted)"),
            "ci": ("valid", "ann (deleted)"),
            "other": ("valid", "system"),
        }
        assert set(self.said(database, account_id=ann.id)) == {"nightly", "ci"}

    @pytest.mark.parametrize("verb", ["disable", "delete"])
    def test_or_end_with_the_account_and_each_is_audited(
        self, database: Database, ann: Actor, verb: str
    ) -> None:
        named = {"account_id": ann.id, "version": 1, "revoke_tokens": True}
        with database.write() as session:
            if verb == "delete":
                lifecycle.delete(session, SYSTEM, **named)
            else:
                service.set_disabled(session, SYSTEM, disabled=True, **named)
        states = {name: state for name, (state, _) in self.said(database).items()}
        assert states == {"nightly": "revoked", "ci": "revoked", "other": "valid"}
        with database.read() as session:
            events = audit_log.list_events(session, SYSTEM, filters=AuditFilter()).items
        revoked = [each for each in events if each.action == "accounts:api_token:revoke"]
        assert {each.subject for each in revoked} == {"API token ci", "API token nightly"}

    def test_a_namesake_who_came_later_made_none_of_them(
        self, database: Database, add_account: AddAccount, ann: Actor
    ) -> None:
        with database.write() as session:
            lifecycle.delete(session, SYSTEM, account_id=ann.id, version=1)
        later = add_account("ann", Role.ADMIN)
        assert self.said(database, account_id=later.id) == {}
        with database.read() as session:
            (token, _other) = api_tokens.list_tokens(session, SYSTEM, account_id=ann.id).items
            found = identity.of(session, kind="api_token", id=token.id, name=token.name)
        assert f"user:{later.id}" not in found.keys
        with database.write() as session:
            service.set_disabled(
                session, SYSTEM, account_id=later.id, disabled=True, version=1, revoke_tokens=True
            )
        assert self.said(database)["ci"] == ("valid", "ann (deleted)")

    def test_a_token_that_a_token_made_counts_as_its_makers(
        self, database: Database, ann: Actor
    ) -> None:
        with database.write() as session:
            made = api_tokens.add(session, ann, name="maker", role="admin")
        with database.write() as session:
            token = api_tokens.authenticate(session, made.raw)
            api_tokens.add(session, token, name="made", role="viewer")
        assert "made" in self.said(database, account_id=ann.id)


class TestAfterwards:
    def test_who_was_merged_is_the_one_who_goes_on(
        self, database: Database, add_account: AddAccount
    ) -> None:
        """So nobody approves what they asked for under the other account."""
        ann, ben, cat = (add_account(name) for name in ("ann", "ben", "cat"))
        with database.write() as session:
            lifecycle.merge(session, SYSTEM, account_id=ann.id, into="ben", version=1)
            lifecycle.merge(session, SYSTEM, account_id=ben.id, into="cat", version=2)
        with database.read() as session:
            found = identity.of(session, kind="user", id=ann.id, name="ann")
        assert found.keys == {f"user:{one.id}" for one in (ann, ben, cat)}
        assert (found.account_id, found.actor and found.actor.name) == (cat.id, "cat")
