"""`client_info list|edit|delete`: the same rules as the page's table."""

import json

from tests.backend.cli.conftest import RunCli


def test_from_the_command_line(run_cli: RunCli) -> None:
    run_cli("environments", "add", "Prod")
    listed = json.loads(run_cli("client_info", "list", "--json").out)
    assert listed["environments"][0]["connection_status"] == "unknown"
    for command in (("edit", "Prod", "client_id=x"), ("delete", "Prod", "--yes")):
        refused = run_cli("client_info", *command)
        assert (refused.status, "has no client info" in refused.err) == (1, True)
    odd = run_cli("client_info", "list", "--status", "odd")
    assert (odd.status, "is no status" in odd.err) == (2, True)
    assert run_cli("client_info", "edit", "Prod", "client_id").status == 2
    assert run_cli("client_info", "list", "--csv").out.startswith("environment,client_id")
