"""The ten kinds of connection with their settings and secrets (DESIGN 5.3), in one table."""

from collections.abc import Mapping

from backend.connections import addresses, directory_fields, fields, rules
from backend.connections.addresses import Endpoint
from backend.connections.errors import UnknownKind
from backend.connections.fields import Field
from backend.connections.fields import Kind as Kind


def _tls_of_postgres(settings: Mapping[str, str]) -> Endpoint | None:
    host = settings.get("host", "")
    if not host or host.startswith("/") or settings.get("sslmode") == "disable":
        return None
    return Endpoint(host, int(settings.get("port") or 5432), "postgres")


def _tls_of_mysql(settings: Mapping[str, str]) -> Endpoint | None:
    if not settings.get("host") or settings.get("ssl", "prefer") in ("prefer", "disable"):
        return None
    return Endpoint(settings["host"], int(settings.get("port") or 3306), "mysql")


def _tls_of_databricks(settings: Mapping[str, str]) -> Endpoint | None:
    if host := settings.get("server_hostname"):
        return Endpoint(host, 443)
    url = settings.get("jdbc_url", "")
    return addresses.jdbc(url).tls if url else None


def _server(port: str) -> tuple[Field, Field]:
    """Host and port of a database; port: its usual one."""
    number = fields.number(1, 65535, whole=True)
    return (
        Field(
            "host",
            "Host",
            "Host name or address.",
            required=True,
            address=addresses.host,
            directs=True,
        ),
        Field("port", "Port", "", default=port, check=number, directs=True),
    )


_PASSWORD_OF_URL = Field("password", "Password", "Password of the user in the URL.")
_DATABASES = (
    Field("database", "Database", "The database of the dataset URNs.", required=True),
    Field(
        "databases",
        "Further databases",
        "On the same server, for the same user; separated by commas.",
        placeholder="sales, support",
    ),
)
_ALL = (
    Kind(
        "datahub",
        "DataHub",
        "Catalog: client info, tokenization write-back, datasets to ingest.",
        settings=(
            Field(
                "server",
                "GMS address",
                "DataHub's metadata service, not its web page (often port 8080).",
                required=True,
                placeholder="https://datahub-gms.example.com:8080",
                address=addresses.web,
                directs=True,
            ),
            Field(
                "frontend_url",
                "Web address",
                "Where people open DataHub; used for links to datasets.",
                placeholder="https://datahub.example.com",
                address=addresses.web,
            ),
            Field(
                "timeout",
                "Timeout in seconds",
                "How long one request may take.",
                default="10",
                check=fields.number(0.1, 300),
            ),
            Field(
                "report_runs",
                "Ingestion runs on dataset pages",
                "on: DataHub is told of every ingestion that this portal starts, and how it ended.",
                default="off",
                choices=("off", "on"),
            ),
        ),
        secrets=(Field("token", "Access token", "A personal or service access token."),),
    ),
    Kind(
        "openmetadata",
        "OpenMetadata",
        "Target of the user sync.",
        settings=(
            Field(
                "host_port",
                "API address",
                "Ends in /api; without it the web page answers instead.",
                required=True,
                placeholder="https://openmetadata.example.com/api",
                address=addresses.api,
                directs=True,
            ),
        ),
        secrets=(Field("jwt_token", "JWT token", "Token of a bot or person who may edit users."),),
    ),
    Kind(
        "directory",
        "Directory",
        "Source of the user sync: GraphQL, SCIM 2.0 or an uploaded file.",
        settings=(
            Field(
                "source",
                "Kind of directory",
                "upload: the CSV or JSON file given under User sync.",
                default="graphql",
                choices=("graphql", "scim", "upload"),
            ),
            Field(
                "endpoint",
                "Endpoint",
                "Kept as typed. Without a query it answers { users { email displayName domain } }.",
                placeholder="https://directory.example.com/graphql",
                address=addresses.exact,
                directs=True,
            ),
            Field(
                "query",
                "Query",
                "A GraphQL document; $first and $after turn the pages.",
                check=directory_fields.query,
            ),
            Field(
                "variables",
                "Variables",
                "Fixed variables of the query, as JSON.",
                placeholder='{"active": true}',
                check=directory_fields.variables,
            ),
            Field(
                "mapping",
                "Mapping",
                "JMESPath from an answer to people.",
                placeholder="users[].{email: mail, displayName: name, domain: department}",
                check=directory_fields.mapping,
            ),
            Field(
                "paging",
                "Paging",
                "auto goes by the query's variables.",
                default="auto",
                choices=("auto", "none", "relay", "offset"),
            ),
            Field(
                "page_size",
                "People a page",
                "",
                default="500",
                check=fields.number(1, 10_000, whole=True),
            ),
            Field(
                "headers",
                "Headers",
                "One a line: “Name: value”. Shown to everybody.",
                check=directory_fields.headers,
            ),
        ),
        secrets=(
            Field("token", "Bearer token", "Leave empty when the endpoint asks for none."),
            Field(
                "secret_headers",
                "Secret headers",
                "One a line, like “x-api-key: …” or “Authorization: Basic …”.",
                check=directory_fields.headers,
            ),
        ),
        check=directory_fields.fit,
    ),
    Kind(
        "ledger",
        "Mount ledger",
        "Database of the backup target mount ledger.",
        settings=(
            Field(
                "url",
                "Database URL",
                "SQLAlchemy URL; a password in it is moved into the secret.",
                required=True,
                placeholder="mysql+pymysql://dms@db.example.com:3306/dms",
                address=addresses.database,
                directs=True,
            ),
        ),
        secrets=(_PASSWORD_OF_URL,),
    ),
    Kind(
        "rabbitmq",
        "RabbitMQ",
        "Broker of the DMS servers.",
        settings=(
            Field(
                "url",
                "Broker URL",
                "amqp:// or amqps://, several brokers with commas between them; "
                "a password in it is moved into the secret.",
                required=True,
                placeholder="amqp://dms@broker.example.com:5672/",
                address=addresses.broker,
                directs=True,
            ),
        ),
        secrets=(_PASSWORD_OF_URL,),
    ),
    Kind(
        "postgres",
        "PostgreSQL",
        "Source database whose columns are tokenized.",
        settings=(
            *_server("5432"),
            *_DATABASES,
            Field("user", "User", "Needs SELECT and UPDATE on the tables.", required=True),
            Field(
                "sslmode",
                "TLS",
                "verify-full checks the server's certificate and name.",
                default="prefer",
                choices=("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
                directs=True,
            ),
        ),
        secrets=(Field("password", "Password", "Password of the user."),),
        tls=_tls_of_postgres,
    ),
    Kind(
        "mysql",
        "MySQL or MariaDB",
        "Source database whose columns are tokenized.",
        settings=(
            *_server("3306"),
            *_DATABASES,
            Field(
                "user",
                "User",
                "Needs SELECT, UPDATE and TRIGGER on the tables, and CREATE TEMPORARY TABLES.",
                required=True,
            ),
            Field(
                "ssl",
                "TLS",
                "verify-full checks the server's certificate and name.",
                default="prefer",
                choices=("disable", "prefer", "require", "verify-full"),
                directs=True,
            ),
        ),
        secrets=(Field("password", "Password", "Password of the user."),),
        tls=_tls_of_mysql,
    ),
    Kind(
        "databricks",
        "Databricks",
        "SQL warehouse whose columns are tokenized.",
        settings=(
            Field(
                "server_hostname",
                "Server host name",
                "Of the SQL warehouse's connection details.",
                placeholder="adb-123.azuredatabricks.net",
                address=addresses.host,
                directs=True,
            ),
            Field(
                "http_path",
                "HTTP path",
                "",
                placeholder="/sql/1.0/warehouses/abc",
                check=fields.prefix("/"),
            ),
            Field("catalog", "Catalog", "Unity catalog to look into."),
            Field(
                "jdbc_url",
                "JDBC URL",
                "Instead of host name and path; a PWD in it is moved into the secret.",
                placeholder="jdbc:databricks://adb-123.azuredatabricks.net:443;httpPath=…",
                address=addresses.jdbc,
                directs=True,
            ),
        ),
        secrets=(Field("access_token", "Access token", "Personal or service principal token."),),
        one_of=(("server_hostname", "http_path"), ("jdbc_url",)),
        tls=_tls_of_databricks,
        costs=True,  # SELECT 1 starts a warehouse that has stopped by itself
    ),
    Kind(
        "aws",
        "AWS",
        "Lambda and Step Functions that ingest datasets.",
        settings=(
            Field(
                "region",
                "Region",
                "Empty: the region of the portal's environment.",
                placeholder="eu-central-1",
                check=fields.pattern(
                    "[a-z0-9-]+", "has small letters, digits and hyphens, like eu-central-1"
                ),
            ),
            Field(
                "endpoint_url",
                "Endpoint URL",
                "Only for a private endpoint or a stand-in.",
                address=addresses.web,
                directs=True,
            ),
            Field(
                "access_key_id",
                "Access key id",
                "Empty: the portal's own AWS identity.",
                check=fields.pattern(r"[A-Za-z0-9_]+", "has letters and digits only"),
                directs=True,
            ),
            Field(
                "role_arn",
                "Role to assume",
                "",
                placeholder="arn:aws:iam::123456789012:role/portal",
                check=fields.prefix("arn:"),
                directs=True,
            ),
            Field("external_id", "External id", "Only when the role's owner asks for one."),
            Field("profile", "Profile", "Of the AWS files on the portal's machine.", directs=True),
        ),
        secrets=(
            Field("secret_access_key", "Secret access key", "Belongs to the access key id."),
            Field("session_token", "Session token", "Only beside temporary keys."),
        ),
        check=rules.needs_a_key_pair,
    ),
    Kind(
        "tokenization",
        "Tokenization key",
        "How values become tokens in this environment.",
        settings=(
            Field(
                "scheme",
                "Scheme",
                "The hmac ones cannot be reversed and make tokens of 52, 32 and 24 characters; "
                "base64 can, by anybody.",
                default="hmac-sha256",
                choices=("hmac-sha256", "hmac-sha256-144", "hmac-sha256-96", "base64"),
            ),
            Field(
                "dataset_tag",
                "Tag on a dataset without tagged fields",
                "suggest writes the likely columns into DataHub; run tokenizes them.",
                default="suggest",
                choices=("suggest", "run"),
            ),
            Field(
                "compare",
                "Compare with DataHub",
                "How often the tables are counted and compared with DataHub's tags.",
                default="weekly",
                choices=("daily", "weekly", "never"),
            ),
        ),
        secrets=(
            Field(
                "key",
                "Key",
                "base64 of 32 bytes; made at first use. Another key gives other tokens.",
                check=fields.key_of_32_bytes,
            ),
        ),
        implicit=True,
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}


def get_kind(name: str) -> Kind:
    """The kind; raises UnknownKind naming the ten."""
    if name not in KINDS:
        raise UnknownKind(name, KINDS)
    return KINDS[name]
