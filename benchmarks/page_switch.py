"""Server time of a page switch with 10,000 audit rows and 50 environments, signed in as admin.

Speaks Streamlit's own websocket messages and measures from "run this page" to "script finished",
so no browser time is in it. The other side is a bare two-page Streamlit app on the same machine.
Promise: at most 150 ms at the median.

    python -m benchmarks.page_switch [rounds]
"""

import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import _servers

LIMIT = 0.150
AUDIT_ROWS, ENVIRONMENTS = 10_000, 50
PLAIN = {
    "app.py": (
        "import streamlit as st\n"
        "st.navigation([st.Page('one.py', title='One'), st.Page('two.py', title='Two')]).run()\n"
    ),
    "one.py": "import streamlit as st\nst.title('One')\nst.text_input('Name')\n",
    "two.py": "import streamlit as st\nst.title('Two')\nst.text_input('Name')\n",
}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with _servers.folder("state") as state:
        cookie = seed(state)
        with _servers.portal(state, {"PORTAL_SANDBOX": "off"}) as server:
            ours = switches(server, rounds, cookie)
    with _servers.plain(PLAIN) as server:
        theirs = switches(server, rounds, "")
    for title, times in ours.items():
        print(
            f"{title:>16}: median {1000 * statistics.median(times):6.1f} ms, "
            f"slowest {1000 * max(times):6.1f} ms"
        )
    mine = statistics.median(t for times in ours.values() for t in times)
    other = statistics.median(t for times in theirs.values() for t in times)
    _servers.line(
        "page switch, against a bare app", 1000 * mine, 1000 * other, "ms", "for information"
    )
    _servers.line("page switch, against the promise", 1000 * mine, 1000 * LIMIT, "ms", "at most 1")


def seed(state: Path) -> str:
    """Fill a new state database; returns the Cookie header of a signed-in admin."""
    os.environ.update(PORTAL_DATA_DIR=str(state), PORTAL_SANDBOX="off")
    from auth import cookies
    from backend.accounts import first_start, repository, sessions
    from backend.connections import environments
    from backend.core import audit, secret_store, startup
    from backend.core.access import SYSTEM
    from backend.core.database import forget_databases, get_database
    from backend.core.settings import get_settings

    settings = get_settings()
    database = get_database()
    startup.prepare(database, secret_store.get_vault())
    os.environ["PORTAL_ADMIN_PASSWORD"] = "correct horse battery staple"
    get_settings.cache_clear()
    first_start.ensure_first_admin(database, get_settings())
    with database.write() as session:
        for number in range(ENVIRONMENTS):
            environments.add(session, SYSTEM, name=f"env-{number:02}")
    with database.write() as session:
        for number in range(AUDIT_ROWS):
            audit.record(
                session,
                SYSTEM,
                "benchmarks:row:write",
                subject=f"row {number} on env-{number % ENVIRONMENTS:02}",
                outcome="succeeded",
                details={"number": number},
            )
    with database.write() as session:
        account = repository.find_account(session, settings.admin_user)
        raw = sessions.open_session(
            session, account_id=account.id, address="127.0.0.1", user_agent="benchmark"
        )
    forget_databases()
    return f"{cookies.session_name()}={raw}"


def switches(server: _servers.Server, rounds: int, cookie: str) -> dict[str, list[float]]:
    """Seconds per switch, by page title. The first round (imports, caches) is not counted."""
    with _connected(server.url, cookie) as socket:
        pages = _run(socket, "")[1]
        found: dict[str, list[float]] = {title: [] for title in pages}
        for number in range(rounds + 1):
            for title, script in pages.items():
                seconds, _ = _run(socket, script)
                if number:
                    found[title].append(seconds)
        return found


def messages(url: str, cookie: str, titles: Sequence[str]) -> dict[str, list[bytes]]:
    """What the pages with these titles send to be drawn, each message as it came, by title."""
    with _connected(url, cookie) as socket:
        pages = _run(socket, "")[1]
        found: dict[str, list[bytes]] = {title: [] for title in titles}
        for title, into in found.items():
            _run(socket, pages[title])  # the first run may still wait for something
            _run(socket, pages[title], into)
        return found


def _connected(url: str, cookie: str) -> Any:
    from websockets.sync.client import connect

    return connect(
        url.replace("http", "ws", 1) + "/_stcore/stream",
        additional_headers={"Cookie": cookie} if cookie else None,
        subprotocols=["streamlit"],
        max_size=None,
    )


def _run(socket: Any, page: str, drawn: list[bytes] | None = None) -> tuple[float, dict[str, str]]:
    """Run a page; returns the seconds it took and the pages that the navigation offers.

    drawn: gets the messages that draw elements.
    """
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    request = BackMsg()
    request.rerun_script.page_script_hash = page
    request.rerun_script.query_string = ""
    begun = time.perf_counter()
    socket.send(request.SerializeToString())
    pages: dict[str, str] = {}
    while True:
        message = ForwardMsg()
        received = socket.recv(timeout=60)
        message.ParseFromString(received)
        kind = message.WhichOneof("type")
        if kind == "delta" and drawn is not None:
            drawn.append(received)
        if kind == "navigation":
            pages = {p.page_name: p.page_script_hash for p in message.navigation.app_pages}
        elif kind == "delta" and message.delta.new_element.HasField("exception"):
            raise SystemExit(f"the page failed: {message.delta.new_element.exception.message}")
        elif kind == "script_finished":
            return time.perf_counter() - begun, pages


if __name__ == "__main__":
    main()
