"""From a dataset's name to a database, schema and table."""

import pytest

from backend.tokenization.schemas import TableName
from backend.tokenization.sources import split_name


@pytest.mark.parametrize(
    ("name", "database", "expected"),
    [
        ("shop.public.customers", "shop", ("shop", "public", "customers")),
        ("instance.shop.public.customers", "shop", ("shop", "public", "customers")),
        ("eu.west.shop.public.customers", "shop", ("shop", "public", "customers")),
        ("shop.shop.public.customers", "shop", ("shop", "public", "customers")),
        ("shop.public.my.table", "shop", ("shop", "public", "my.table")),
        ("my.shop.public.customers", "my.shop", ("my.shop", "public", "customers")),
        ("shop.shop.shop", "shop", ("shop", "shop", "shop")),
    ],
)
def test_reads(name: str, database: str, expected: tuple[str, str, str]) -> None:
    assert split_name(name, database) == TableName(*expected)


@pytest.mark.parametrize(
    ("name", "database"),
    [
        ("other.public.customers", "shop"),
        ("Shop.public.customers", "shop"),
        ("shop.customers", "shop"),
        ("shop..customers", "shop"),
        ("shop.public.", "shop"),
        ("public.customers", ""),
        ("shop.public." + "x" * 300, "shop"),
    ],
)
def test_refuses(name: str, database: str) -> None:
    assert split_name(name, database) is None
