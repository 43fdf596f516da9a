"""Files that leave the portal: one writer of CSV, and it defuses formulas."""

import ast
from collections.abc import Iterator

from tests.architecture import source

THE_WRITER = "backend/core/csv_export.py"


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for module in source.modules().values():
        yield module.place, module.tree


def test_only_one_module_writes_csv() -> None:
    """Its cells are proven harmless in tests/backend/core/test_csv_export.py."""
    others = [
        f"{name}:{node.lineno}"
        for name, tree in _modules()
        if name != THE_WRITER
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("to_csv", "to_excel", "DictWriter", "to_clipboard")
        )
        or (
            isinstance(node, ast.Attribute)
            and node.attr == "writer"
            and isinstance(node.value, ast.Name)
            and node.value.id == "csv"
        )
    ]
    assert [other for other in others if not other.startswith(THE_WRITER)] == []


def test_no_page_draws_html_made_of_data() -> None:
    """`unsafe_allow_html` and `st.html` belong to modules whose HTML is constant or escaped."""
    allowed = {"auth/ticket_form.py", "auth/inline.py", "pages/shell/chrome.py"}
    found = {
        name
        for name, tree in _modules()
        for node in ast.walk(tree)
        if (isinstance(node, ast.keyword) and node.arg == "unsafe_allow_html")
        or (
            isinstance(node, ast.Attribute)
            and node.attr in ("html", "iframe")
            and ast.unparse(node.value) in ("st", "components", "components.v1", "st.components.v1")
        )
    }
    assert found <= allowed, found - allowed


def test_no_pickle_and_no_eval() -> None:
    """Nothing that comes from outside can become code."""
    bad = {
        f"{name}:{node.lineno}"
        for name, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func)
        in (
            "eval",
            "exec",
            "pickle.loads",
            "pickle.load",
            "yaml.load",
            "os.system",
            "marshal.loads",
        )
    }
    # A SafeLoader that refuses doubled keys, which is why it is not yaml.safe_load.
    assert {place.split(":")[0] for place in bad} <= {"backend/ingestion/documents.py"}


def test_no_client_skips_the_check_of_certificates() -> None:
    """`verify=False` and its relatives (ASVS 12.3.2)."""
    bad = {
        f"{name}:{getattr(node, 'lineno', 0)}"
        for name, tree in _modules()
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.keyword)
            and node.arg in ("verify", "verify_ssl", "check_hostname")
            and isinstance(node.value, ast.Constant)
            and node.value.value is False
        )
        or (
            isinstance(node, ast.Attribute)
            and node.attr in ("CERT_NONE", "_create_unverified_context")
        )
    }
    assert {place.split(":")[0] for place in bad} <= {
        # It does what its workflow's own verifySSL says, as the official client does.
        "backend/user_sync/connector.py",
        # The one trust setting, which pages and tests keep warning of when it is off.
        "backend/core/trust.py",
        # The client is a library of its own: an address may say ssl_verify=off, typed ones not.
        "backend/dms/brokers.py",
        # TLS "require" is encrypted and not checked, as the field says and PostgreSQL's means it.
        "backend/integrations/mysql/connection.py",
        # Looks at the certificates that a server shows; nothing else is said there.
        "backend/connections/tls.py",
    }
