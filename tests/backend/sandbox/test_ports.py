"""Ports that the sandbox keeps over restarts."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.sandbox import ports
from backend.sandbox.aws import part as aws
from backend.sandbox.datahub import part as datahub
from backend.sandbox.directory import part as directory
from backend.sandbox.openmetadata import part as openmetadata
from backend.sandbox.parts import Part

OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


class TestKept:
    def test_is_the_port_of_before(self, tmp_path: Path) -> None:
        port = ports.free()
        ports.keep(tmp_path, f"http://127.0.0.1:{port}/api")
        assert ports.kept(tmp_path) == port
        ports.keep(tmp_path, port)
        assert ports.kept(tmp_path) == port

    @pytest.mark.parametrize("text", [None, "", "seven", "80", "70000"])
    def test_is_a_free_one_without_a_usable_one(self, tmp_path: Path, text: str | None) -> None:
        if text is not None:
            (tmp_path / "port").write_text(text)
        with socket.create_server(("127.0.0.1", ports.kept(tmp_path))) as mine:
            assert str(mine.getsockname()[1]) != text

    def test_is_another_one_while_somebody_else_has_it(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            ports.keep(tmp_path, taken := other.getsockname()[1])
            assert ports.kept(tmp_path) not in (0, taken)

    @pytest.mark.skipif(not OUTGOING.exists(), reason="only Linux says which ports it gives out")
    def test_is_none_that_an_outgoing_connection_takes_while_the_sandbox_is_stopped(
        self, tmp_path: Path
    ) -> None:
        first, last = map(int, OUTGOING.read_text().split())
        assert ports.kept(tmp_path) not in range(first, last + 1)


@pytest.mark.parametrize(
    ("start", "setting"),
    [
        (openmetadata.start, "host_port"),
        (directory.start, "endpoint"),
        (datahub.start, "server"),
        (aws.start, "endpoint_url"),
    ],
    ids=["openmetadata", "directory", "datahub", "aws"],
)
def test_a_part_has_its_address_again_unless_it_is_taken(
    tmp_path: Path, start: Callable[[Path], Part], setting: str
) -> None:
    first = start(tmp_path)
    first.stop()
    second = start(tmp_path)
    second.stop()
    assert second.settings[setting] == first.settings[setting]
    with socket.create_server(("127.0.0.1", ports.kept(tmp_path))):
        third = start(tmp_path)
    third.stop()
    assert third.settings[setting] != first.settings[setting]
