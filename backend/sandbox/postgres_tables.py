"""The tables of the sandbox's PostgreSQL: fake people, and one table for each kind of surprise.

Statements are run once, in a fresh database; the same list seeds the catalog of the DataHub
stand-in, so that both tell the same story.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

DATABASE = "tokenize"


@dataclass(frozen=True)
class Table:
    """fields: column → native type. personal: columns that carry the PII tag in the catalog."""

    name: str
    description: str
    fields: Mapping[str, str]
    statements: tuple[str, ...]
    personal: tuple[str, ...] = ()
    tokenize: bool = False
    primary_keys: tuple[str, ...] = field(default=("id",))

    @property
    def urn(self) -> str:
        return f"urn:li:dataset:(urn:li:dataPlatform:postgres,{DATABASE}.{self.name},PROD)"


_FIRST = "(ARRAY['Anna','Bela','Chidi','Dana','Emeka','Farah','Goran','Hana','Ines','João'])"
_LAST = "(ARRAY['Kowalska','Nagy','Okafor','Lindqvist','Haddad','Moreau','Novak','Sato'])"

CUSTOMERS = Table(
    name="public.customers",
    description="Customers of the demo shop. Tagged tokenize/run: try the Tokenization page.",
    fields={
        "id": "bigint",
        "name": "text",
        "email": "text",
        "phone": "text",
        "country": "varchar(2)",
        "created_at": "timestamp with time zone",
    },
    personal=("email", "phone"),
    tokenize=True,
    statements=(
        """CREATE TABLE public.customers (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL, email text, phone text, country varchar(2) NOT NULL,
            created_at timestamptz NOT NULL)""",
        f"""INSERT INTO public.customers (name, email, phone, country, created_at)
            SELECT first || ' ' || last,
                   CASE WHEN n % 97 = 0 THEN NULL
                        ELSE lower(first || '.' || last) || n || '@example.com' END,
                   CASE WHEN n % 53 = 0 THEN ''
                        ELSE '+48 600 ' || lpad((n % 1000)::text, 3, '0') || ' '
                             || lpad((n / 7 % 1000)::text, 3, '0') END,
                   (ARRAY['PL','HU','NG','SE','FR'])[1 + n % 5],
                   timestamptz '2026-01-01' + n * interval '37 minutes'
            FROM (SELECT n, {_FIRST}[1 + n % 10] AS first, {_LAST}[1 + n / 10 % 8] AS last
                  FROM generate_series(1, 5000) AS n) AS people""",  # noqa: S608  # constants
    ),
)

NEWSLETTER = Table(
    name="public.newsletter",
    description="Subscribers; the address is unique and indexed.",
    fields={"id": "bigint", "email": "varchar(320)", "subscribed": "boolean"},
    personal=("email",),
    statements=(
        """CREATE TABLE public.newsletter (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            email varchar(320) NOT NULL UNIQUE, subscribed boolean NOT NULL DEFAULT true)""",
        """INSERT INTO public.newsletter (email)
            SELECT 'reader' || n || '@example.org' FROM generate_series(1, 800) AS n""",
    ),
)

SHORT_CODES = Table(
    name="public.short_codes",
    description="A phone column too short for a token: the preview refuses it.",
    fields={"id": "bigint", "phone": "varchar(16)"},
    personal=("phone",),
    statements=(
        """CREATE TABLE public.short_codes (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, phone varchar(16))""",
        """INSERT INTO public.short_codes (phone)
            SELECT '+4860012' || lpad(n::text, 4, '0') FROM generate_series(1, 200) AS n""",
    ),
)

ORDERS = Table(
    name="sales.Orders",
    description="Orders by month (partitioned); the customer's address is kept as it was.",
    fields={"id": "bigint", "placed_on": "date", "ship_to": "text", "total": "numeric(10,2)"},
    personal=("ship_to",),
    primary_keys=("id", "placed_on"),
    statements=(
        "CREATE SCHEMA sales",
        """CREATE TABLE sales."Orders" (
            id bigint NOT NULL, placed_on date NOT NULL, ship_to text, total numeric(10, 2),
            PRIMARY KEY (id, placed_on)) PARTITION BY RANGE (placed_on)""",
        """CREATE TABLE sales.orders_first PARTITION OF sales."Orders"
            FOR VALUES FROM ('2026-01-01') TO ('2026-07-01')""",
        """CREATE TABLE sales.orders_second PARTITION OF sales."Orders"
            FOR VALUES FROM ('2026-07-01') TO ('2027-01-01')""",
        """INSERT INTO sales."Orders"
            SELECT n, date '2026-01-01' + n % 360, n || ' Long Street, Warsaw', n * 1.5
            FROM generate_series(1, 3000) AS n""",
    ),
)

TABLES: tuple[Table, ...] = (CUSTOMERS, NEWSLETTER, SHORT_CODES, ORDERS)
