"""What a steward does with a new directory, from the first try to the revert."""

from contextlib import contextmanager
from types import SimpleNamespace

from backend.connections import service as connections
from backend.sandbox.openmetadata import StandIn, seeding
from backend.user_sync import service
from tests.backend.user_sync.conftest import make_world


def connect(world, settings, secrets):
    with world.database.write() as session:
        connections.save(
            session,
            world.admin,
            environment=world.env,
            kind="directory",
            settings=dict(settings),
            secrets_in=dict(secrets),
        )


def held(world):
    """Names and domains of everybody in OpenMetadata."""
    users = world.om.store.users.values()
    return {
        user["name"]: (
            user.get("displayName") or "",
            sorted(ref["id"] for ref in user.get("domains") or () if not ref.get("inherited")),
        )
        for user in users
    }


def walk(world, *, said, meant):
    """Try it, plan, map the department `said` to the domain `meant`, plan, apply, revert.

    The directory leaves somebody of OpenMetadata out, and has somebody under a new address.
    """
    tried = service.try_it(world.database, world.steward, environment=world.env)
    assert len(tried.people) == 10
    assert not any(person.refused for person in tried.people if person.email)
    plan = world.plan()
    assert plan.observed["leaver"] > 0
    (renamed,) = world.rows(plan, kinds=("renamed",))
    assert renamed.reason.startswith("probably renamed: the directory has ")
    assert any(said in row.unknown for row in world.rows(plan, kinds=("unknown_domain",)))
    with world.database.write() as session:
        service.map_domain(session, world.steward, environment=world.env, said=said, domain=meant)
    plan = world.plan()
    mapped = [row for row in world.rows(plan) if f"“{said}” is mapped to {meant}" in row.reason]
    assert mapped
    assert not any(said in row.unknown for row in world.rows(plan))
    before = held(world)
    run = world.apply(plan, confirm=str(plan.changes))
    assert (run.state, run.counts) == ("succeeded", {"applied": plan.changes})
    assert held(world) != before
    with world.database.write() as session:
        inverse = service.revert(session, world.steward, run_id=run.id)
    taken_back = world.apply(inverse, confirm=str(inverse.changes))
    assert taken_back.state == "succeeded"
    assert held(world) == before
    return plan


def _seed_numbered(store):
    """A few of user0@example.com … (User 0 …, odd ones in Finance, even ones in Marketing): two
    names and domains that differ, one that does not, a leaver, a new address; no Marketing."""
    for name in ("Finance", "Brand"):
        store.add_domain(name)
    store.add_team("Organization")
    seeding.seed_accounts(store)
    for name, display_name, domains in (
        ("user1", "User One", ("Brand",)),
        ("user2", "User 2", ("Brand",)),
        ("user3", "User 3", ()),
        ("user6", "User 6", ()),
        ("former.colleague", "Former Colleague", ("Finance",)),
        ("old.user9", "User 9", ("Finance",)),
    ):
        store.add_user(name, display_name=display_name, domains=domains, teams=("Organization",))


def walk_numbered(database, actors, settings, secrets):
    """`walk` with a directory of thousands of numbered people, as the real servers' tests have."""
    with numbered_world(database, actors) as world:
        connect(world, settings, secrets)
        plan = walk(world, said="Marketing", meant="Brand")
        assert (plan.changes, plan.matched_count) == (3, 4)


@contextmanager
def numbered_world(database, actors):
    with StandIn(seed=_seed_numbered) as om:
        yield make_world(database, actors, om, SimpleNamespace(url="http://127.0.0.1:9/graphql"))
