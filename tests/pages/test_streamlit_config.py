"""Settings of Streamlit that people feel."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_page_run_ends_with_a_collection_of_everything() -> None:
    """It took nine tenths of the processor's time with fifty people on the pages."""
    read = "from streamlit import config; print(config.get_option('runner.postScriptGC'))"
    done = subprocess.run(
        [sys.executable, "-c", read],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False"], "Streamlit does not take the setting"
