"""The table of kinds: DESIGN's names, checks of values, one clear error for unknown names."""

import base64

import pytest

from backend.connections import kinds, rules
from backend.core.errors import InvalidInput
from tests.backend.connections.conftest import VALID

#: DESIGN 5.3, and what came beside it.
DESIGN = {
    "datahub": ({"server", "frontend_url", "timeout", "report_runs"}, {"token"}),
    "openmetadata": ({"host_port"}, {"jwt_token"}),
    "directory": (
        {
            "source",
            "endpoint",
            "query",
            "variables",
            "mapping",
            "paging",
            "page_size",
            "headers",
        },
        {"token", "secret_headers"},
    ),
    "ledger": ({"url"}, {"password"}),
    "rabbitmq": ({"url"}, {"password"}),
    "postgres": ({"host", "port", "database", "databases", "user", "sslmode"}, {"password"}),
    "mysql": ({"host", "port", "database", "databases", "user", "ssl"}, {"password"}),
    "databricks": (
        {"server_hostname", "http_path", "catalog", "jdbc_url"},
        {"access_token"},
    ),
    "aws": (
        {"region", "endpoint_url", "access_key_id", "role_arn", "external_id", "profile"},
        {"secret_access_key", "session_token"},
    ),
    "tokenization": ({"scheme", "dataset_tag", "compare"}, {"key"}),
}


def test_the_table_is_the_designs() -> None:
    table = {
        kind.name: ({f.name for f in kind.settings}, {f.name for f in kind.secrets})
        for kind in kinds.KINDS.values()
    }
    assert table == DESIGN


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda kind: kind.name)
class TestEveryKind:
    def test_takes_its_valid_settings(self, kind: kinds.Kind) -> None:
        rules.check_names(kind, VALID[kind.name], {})
        secrets = frozenset({"secret_access_key"}) if kind.name == "aws" else frozenset()
        rules.check_complete(kind, VALID[kind.name], secrets)

    def test_names_all_unknown_names_and_the_allowed_ones_at_once(self, kind: kinds.Kind) -> None:
        with pytest.raises(InvalidInput) as caught:
            rules.check_names(kind, {"nope": "1", "other": "2"}, {"third": "3"})
        for word in ("'nope'", "'other'", "'third'", *kind.names().replace(";", ",").split(", ")):
            assert word.split()[-1] in caught.value.message

    def test_refuses_control_characters(self, kind: kinds.Kind) -> None:
        for field in (*kind.settings, *kind.secrets):
            with pytest.raises(InvalidInput, match="control"):
                field.clean(kind.name, "a\x00b")


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("datahub", "server", "gms:8080"),
        ("datahub", "server", "file:///etc/passwd"),
        ("datahub", "server", "http://user:pw@gms"),
        ("datahub", "server", "http://"),
        ("datahub", "server", "http://gms:port"),
        ("datahub", "timeout", "soon"),
        ("datahub", "timeout", "0"),
        ("openmetadata", "host_port", "http://om:8585"),
        ("openmetadata", "host_port", "http://om:8585/api/v1"),
        ("directory", "endpoint", "ftp://d/graphql"),
        ("ledger", "url", "oracle://h/d"),
        ("rabbitmq", "url", "http://h"),
        ("postgres", "host", "http://h"),
        ("postgres", "host", "h; drop"),
        ("postgres", "port", "70000"),
        ("postgres", "port", "54.32"),
        ("postgres", "sslmode", "off"),
        ("databricks", "jdbc_url", "http://h"),
        ("aws", "endpoint_url", "file:///x"),
        ("aws", "role_arn", "role"),
        ("tokenization", "scheme", "md5"),
    ],
)
def test_values_that_cannot_be_right_are_refused_naming_the_field(
    kind: str, field: str, value: str
) -> None:
    label, found = kinds.get_kind(kind).label, kinds.get_kind(kind).setting(field)
    assert found
    with pytest.raises(InvalidInput) as told:
        found.clean(label, value)
    assert told.value.message.startswith(f"{label}: {found.called} ")
    assert field in found.called


@pytest.mark.parametrize(
    ("kind", "field", "value", "stored"),
    [
        ("datahub", "server", " http://gms:8080/ ", "http://gms:8080"),
        ("openmetadata", "host_port", "https://om/api/", "https://om/api"),
        ("ledger", "url", "mysql://u@h/d", "mysql+pymysql://u@h/d"),
        ("ledger", "url", "postgres://u@h/d", "postgresql+psycopg2://u@h/d"),
        ("ledger", "url", "sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("postgres", "host", "/run/postgresql", "/run/postgresql"),
        ("postgres", "host", "::1", "::1"),
    ],
)
def test_values_are_stored_in_one_spelling(kind: str, field: str, value: str, stored: str) -> None:
    found = kinds.get_kind(kind).setting(field)
    assert found
    assert found.clean(kind, value) == stored


class TestCompleteness:
    @pytest.mark.parametrize(
        ("kind", "settings", "words"),
        [
            ("postgres", {"host": "h"}, "database and user"),
            ("datahub", {}, r"GMS address \(server\)"),
            (
                "databricks",
                {"http_path": "/x"},
                r"\(server_hostname\) and HTTP path \(http_path\), or JDBC URL \(jdbc_url\)",
            ),
            ("aws", {"access_key_id": "AK"}, "secret_access_key"),
        ],
    )
    def test_says_everything_that_is_missing(
        self, kind: str, settings: dict[str, str], words: str
    ) -> None:
        with pytest.raises(InvalidInput, match=words):
            rules.check_complete(kinds.get_kind(kind), settings, frozenset())

    def test_aws_with_nothing_is_botos_own_chain(self) -> None:
        rules.check_complete(kinds.get_kind("aws"), {}, frozenset())


def test_a_wrong_value_is_named_as_the_page_and_as_commands_call_it() -> None:
    databricks = kinds.get_kind("databricks")
    field = databricks.setting("server_hostname")
    assert field
    with pytest.raises(InvalidInput) as told:
        field.clean(databricks.label, "adb 1")
    assert told.value.message == (
        "Databricks: Server host name (server_hostname) is not a host name: it has letters, "
        "digits, dots and hyphens, no port and no path."
    )


def test_a_tokenization_key_is_32_bytes() -> None:
    field = kinds.get_kind("tokenization").secret("key")
    assert field
    assert field.clean("tokenization", base64.b64encode(b"k" * 32).decode())
    for wrong in ("short", base64.b64encode(b"k" * 31).decode(), "not base64!"):
        with pytest.raises(InvalidInput, match="32 bytes"):
            field.clean("tokenization", wrong)
