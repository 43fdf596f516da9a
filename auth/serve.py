"""`python -m auth.serve`: `streamlit run app.py` that also obeys a SIGTERM while Streamlit loads.

What follows is passed on: `python -m auth.serve --server.port 8502`. It is run in app.py's folder.
"""

import os
import signal
import sys


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    # As auth.stopping does later, before the second that importing a web server takes.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from streamlit.web import cli

    sys.argv = ["streamlit", "run", "app.py", *sys.argv[1:]]
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
