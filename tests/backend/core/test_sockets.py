"""Connections of the web server send at once, however its socket was bound."""

import socket

from backend.core.sockets import send_at_once


def _nodelay(connection: socket.socket) -> bool:
    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_a_connection_accepted_later_has_no_delay() -> None:
    with socket.socket() as server:  # no protocol number, as Streamlit binds it
        server.bind(("127.0.0.1", 0))
        assert send_at_once() >= 1
        server.listen()
        with socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            with accepted:
                assert _nodelay(accepted)
                assert not _nodelay(client)


def test_other_descriptors_are_left_alone(tmp_path) -> None:
    with (tmp_path / "file").open("w") as file, socket.socket(socket.AF_UNIX) as other:
        send_at_once()
        file.write("still open")
        assert other.fileno() > 0
