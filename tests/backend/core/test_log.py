"""Nothing secret reaches a log line, and a name cannot forge one."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import structlog

from backend.core import log
from backend.dms import requests

SECRET = "planted-secret-77"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJlLXBsYW50ZWQ"


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    log.configure("INFO")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestMasking:
    @pytest.mark.parametrize(
        "text",
        [
            f"Authorization: Bearer {SECRET}",
            f"amqp://user:{SECRET}@host:5672/",
            f"password={SECRET}",
            f'{{"keystone_token": "{SECRET}"}}',
            f"secret_ref: {SECRET}",
            JWT,
            f"mysql+pymysql://me:{SECRET}@db/ledger",
        ],
    )
    def test_texts_lose_what_looks_like_a_credential(self, text: str) -> None:
        masked = log.mask_text(text)
        assert SECRET not in masked
        assert JWT not in masked
        assert log.MASK in masked

    @pytest.mark.parametrize("mask_text", [log.mask_text, requests.mask_text])
    @pytest.mark.parametrize(
        "piece", ["x", "a1+", "://", "a://", "secret ", "token=", "eyJ", "Basic "]
    )
    def test_a_long_text_costs_its_length_and_not_the_square_of_it(
        self, mask_text: Callable[[str], str], piece: str
    ) -> None:
        # A square would be hours; the suite's own limit for a test ends it.
        text = "://" + piece * (1_000_000 // len(piece))
        assert SECRET not in mask_text(f"{text} amqp://user:{SECRET}@host")

    def test_keys_that_name_a_secret_lose_their_value_at_any_depth(self) -> None:
        masked = log.mask({"a": [{"jwt_token": SECRET, "ok": "kept"}], "password": SECRET})
        assert masked == {"a": [{"jwt_token": "***", "ok": "kept"}], "password": "***"}

    def test_ordinary_sentences_stay_as_they_are(self) -> None:
        text = "OpenMetadata: http://localhost:8585/api answered 401. Make a new token."
        assert log.mask_text(text) == text


class TestLines:
    def test_structured_and_foreign_records_are_masked(self, stream: io.StringIO) -> None:
        log.get_logger("x").info("Signed in.", token=SECRET, name="anna")
        logging.getLogger("foreign").warning("url %s", f"amqp://u:{SECRET}@h")
        assert SECRET not in stream.getvalue()
        first, second = _lines(stream)
        assert (first["event"], first["name"]) == ("Signed in.", "anna")
        assert second["level"] == "warning"

    def test_a_newline_in_a_name_does_not_forge_a_line(self, stream: io.StringIO) -> None:
        log.get_logger("x").info("Hello.", name='anna\n{"event": "forged"}')
        assert len(_lines(stream)) == 1

    def test_tracebacks_are_masked_too(self, stream: io.StringIO) -> None:
        try:
            raise RuntimeError(f"cannot reach amqp://u:{SECRET}@h")
        except RuntimeError as exc:
            reference = log.log_unexpected(log.get_logger("x"), "Broken.", exc)
        line = _lines(stream)[0]
        assert SECRET not in stream.getvalue()
        assert line["reference"] == reference
        assert "RuntimeError" in str(line["exception"])


def test_loggers_used_before_follow_a_second_configuration(stream: io.StringIO) -> None:
    used = log.get_logger("tests.used-before")
    used.info("The first sentence.")
    log.configure()
    with structlog.testing.capture_logs() as events:
        used.info("The second sentence.")
    assert [event["event"] for event in events] == ["The second sentence."]


def test_a_process_that_never_configured_logging_prints_no_local_variables() -> None:
    """The official `metadata` and `datahub` commands load our code without calling `configure`."""
    program = """if True:
        from backend.core.log import get_logger, log_unexpected

        def fail(handed_over):
            raise KeyError("x")

        try:
            fail("planted-" + "secret-77")
        except KeyError as exc:
            log_unexpected(get_logger("any"), "It failed.", exc, token="planted-" + "secret-77")
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "It failed." in done.stderr
    assert SECRET not in done.stderr
    assert done.stdout == ""
