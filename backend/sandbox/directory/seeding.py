"""Whom the demo directory knows; with OpenMetadata's demo seed it gives a row of every kind."""

from typing import Any

Person = dict[str, Any]


def seed_demo() -> list[Person]:
    """The people of OpenMetadata's `seed_demo`, with everything a directory gets wrong."""
    rows: list[tuple[object, object, object]] = [
        # unchanged
        ("brian_smith7@example.com", "Brian Smith", "Finance"),
        ("grace.okafor@example.com", "Grace Okafor", "finance"),
        ("jonas.weber@example.com", "Jonas Weber", None),
        ("mei.tanaka@example.com", "Mei Tanaka", "R.D"),
        # update: a name, a domain, both; one address in capitals
        ("aaron_johnson0@example.com", "Aaron Johnson", "Marketing"),
        ("Adrian_Smith7@Example.com", "Adrian Smith", "Operations"),
        ("anna.kowalska@example.com", "Anna Maria Kowalska", "Payments"),
        ("carla.chen@example.com", "Carla Chen", "Operations"),
        ("dana.fox@example.com", "Dana Fox", "Finance"),
        ("felix.brandt@example.com", "Felix Brandt", "Operations"),
        ("lena.novak@example.com", "Lena Novak-Horvat", None),
        # update that only looks like none: two blanks, a composed letter
        ("chloe_martin@example.com", "Chloe Martin", "Marketing"),
        ("ines.duarte@example.com", "In\u00eas Duarte", "Research"),
        # unknown_domain: nobody knows it; two domains share it
        ("elif.yilmaz@example.com", "Elif Y\u0131lmaz", "Innovation"),
        ("henrik.berg@example.com", "Henrik Berg", "Shared"),
        # not_found
        ("new.joiner@example.com", "New Joiner", "Finance"),
        ("visitor@partner.example", "Visiting Partner", None),
        # duplicate: one address, two opinions
        ("karim.haddad@example.com", "Karim Haddad", "Marketing"),
        ("KARIM.HADDAD@example.com", "Karim El Haddad", "Finance"),
        # invalid
        (None, "Nobody At All", "Finance"),
        ("not-an-address", "Broken Entry", "Finance"),
    ]
    return [{"email": e, "displayName": n, "domain": d} for e, n, d in rows]


def elsewhere(people: list[Person]) -> list[Person]:
    """The same people as a directory that promises an address has them: nobody is without one,
    one person has a new address, and one left."""
    moved = {"brian_smith7@example.com": "brian.smith@example.com"}
    return [
        {**person, "email": moved.get(person["email"], person["email"])}
        for person in people
        if person["email"] and person["email"] != "jonas.weber@example.com"
    ]


def seed_many(count: int, changed_every: int = 10) -> list[Person]:
    """People of OpenMetadata's `seed_many`; every `changed_every`-th has another name."""
    domains = ("Finance", "Marketing", "Operations", "Research")
    return [
        {
            "email": f"User{n:06d}@example.com" if n % 7 == 0 else f"user{n:06d}@example.com",
            "displayName": f"User {n:06d}" if n % changed_every else f"Renamed {n:06d}",
            "domain": domains[n % 4],
        }
        for n in range(count)
    ]
