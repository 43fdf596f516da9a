"""What a stand-in starts with: a small company for the sandbox, or many users for benchmarks.

The people match `backend.sandbox.directory.seeding` so that a plan between the two
has a row of every kind.
"""

from backend.sandbox.openmetadata.store import Store

DOMAINS = ("Finance", "Marketing", "Operations", "Research", "R.D")


def seed_accounts(store: Store) -> None:
    """The accounts every stand-in has: an admin, the portal's technical admin, the usual bot."""
    store.add_user("admin", email="admin@open-metadata.org", display_name="Admin", is_admin=True)
    store.add_user(
        "portal-admin",
        email="portal-admin@example.com",
        display_name="Steward Portal (technical account)",
        is_admin=True,
    )
    store.add_user(
        "ingestion-bot",
        email="ingestion-bot@open-metadata.org",
        display_name="IngestionBot",
        is_bot=True,
    )


def seed_demo(store: Store) -> None:
    """A small company; see the directory's seed for what the directory thinks of them."""
    for name in DOMAINS:
        store.add_domain(name)
    store.add_domain("Payments", parent="Finance")
    store.add_domain("Payroll", parent="Finance")
    store.add_domain("Shared", parent="Finance")
    store.add_domain("Shared", parent="Marketing")
    store.add_team("Organization")
    store.add_team("Accounting", domains=("Finance",))
    store.add_team("Brand", domains=("Marketing",))
    seed_accounts(store)
    people: list[tuple[str, str | None, tuple[str, ...], tuple[str, ...]]] = [
        ("aaron_johnson0", "Aaron Jonson", ("Operations",), ()),
        ("adrian_smith7", None, (), ()),
        ("anna.kowalska", "Anna Kowalska", ("Finance.Payments",), ("Accounting",)),
        ("brian_smith7", "Brian Smith", ("Finance",), ()),
        ("carla.chen", "Carla Chen", ("Marketing",), ("Brand",)),
        ("chloe_martin", "Chloe  Martin", ("Marketing",), ()),
        ("dana.fox", "Dana Fox", (), ("Accounting",)),
        ("elif.yilmaz", "Elif Yilmaz", ("Research",), ()),
        ("felix.brandt", "Felix Brandt", ("Operations", "Research"), ()),
        ("grace.okafor", "Grace Okafor", ("Finance",), ()),
        ("henrik.berg", "Henrik Berg", ("Operations",), ()),
        ("ines.duarte", "Ine\u0302s Duarte", ("Research",), ()),
        ("jonas.weber", "Jonas Weber", ("Finance",), ()),
        ("karim.haddad", "Karim Haddad", ("Marketing",), ()),
        ("lena.novak", "Lena Novak", ("Operations",), ()),
        ("mei.tanaka", "Mei Tanaka", ('"R.D"',), ()),
    ]
    for name, display_name, domains, teams in people:
        store.add_user(
            name,
            display_name=display_name,
            domains=domains,
            teams=("Organization", *teams),
            roles=[_role("DataConsumer")],
            profile={"images": {"image": f"https://example.com/{name}.png"}},
        )


def seed_many(store: Store, count: int) -> None:
    """`count` people in four domains: user000000@example.com, "User 000000"."""
    for name in DOMAINS[:4]:
        store.add_domain(name)
    store.add_team("Organization")
    store.add_team("Accounting", domains=("Finance",))
    seed_accounts(store)
    for number in range(count):
        store.add_user(
            f"user{number:06d}",
            display_name=f"User {number:06d}",
            domains=(DOMAINS[number % 4],),
            teams=("Organization",) if number % 10 else ("Organization", "Accounting"),
            roles=[_role("DataConsumer")],
        )


def _role(name: str) -> dict[str, str]:
    return {"id": "00000000-0000-4000-8000-000000000401", "type": "role", "name": name}
