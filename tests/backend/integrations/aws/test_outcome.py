"""Whether a call failed, from streams that AWS's own runtime clients printed.

Each runtime has a file in `recorded`, stack traces cut short: a heading with the truth, then one
event a line, its line breaks and tabs escaped. Ruby cannot be run here; the others are run anew
by tests/integration/lambda_runtimes.
"""

import json
import re
from pathlib import Path

import pytest

from backend.integrations.aws import outcome
from backend.integrations.aws.outcome import Outcome

CASES = Path(__file__).parent / "recorded"
RUNTIMES = {
    "python": ("python3.13", ""),
    "node": ("nodejs22.x", ""),
    "java": ("java21", ""),
    "ruby": ("ruby3.3", ""),
    "go": ("go1.x", "provided.al2023"),
}
ID = "8f5b2c1e-1111-4222-8333-444455556666"
OTHER = "aaaaaaaa-1111-4222-8333-444455556666"
START, END = f"START RequestId: {ID} Version: $LATEST", f"END RequestId: {ID}"
REPORT = f"REPORT RequestId: {ID}\tDuration: 12.00 ms\tBilled Duration: 13 ms"
_ESCAPES = {"\\": "\\", "n": "\n", "t": "\t", "r": "\r", "xa0": "\xa0"}


def recorded() -> list[tuple[str, str, str, list[str]]]:
    """(runtime, heading, truth, events) of every recorded stream."""
    found = []
    for file in sorted(CASES.glob("*.txt")):
        for block in file.read_text(encoding="utf-8").split("## ")[1:]:
            heading, *lines = block.rstrip("\n").split("\n")
            events = [
                re.sub(r"\\(\\|n|t|r|xa0)", lambda m: _ESCAPES[m[1]], line)
                for line in lines
                if line
            ]
            truth = heading.rpartition("truth: ")[2]
            found += [(one, f"{file.stem} {heading}", truth, events) for one in RUNTIMES[file.stem]]
    return found


@pytest.mark.parametrize(
    ("runtime", "truth", "events"),
    [pytest.param(r, t, e, id=f"{h} as {r or 'unknown'}") for r, h, t, e in recorded()],
)
def test_no_recorded_failure_is_a_success_and_no_success_a_failure(
    runtime: str, truth: str, events: list[str]
) -> None:
    begun = [i for i, event in enumerate(events) if outcome_start(event)][-1]
    request_id = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", events[begun])[0]
    ends = [i for i, e in enumerate(events) if "REPORT " in e or "platform.report" in e]
    found = outcome.of_call(events[begun : ends[-1] + 1], events[:begun], request_id, runtime)
    if truth != "success":
        assert found.failed is True
        assert found.error
    elif outcome.family(runtime) in outcome.TELLING:
        assert found.failed is False
    else:
        assert found.failed is None, "this runtime leaves no trace, so nothing proves success"


def outcome_start(event: str) -> bool:
    return event.startswith("START RequestId: ") or '"type":"platform.start"' in event


def judged(
    runtime: str, *events: str, before: tuple[str, ...] = (), report: str = REPORT
) -> Outcome:
    return outcome.of_call([START, *events, END, report], before, ID, runtime)


JAVA = "no table: fn.H$Lost\nfn.H$Lost: no table\n\tat fn.H.handle(H.java:9)"
NODE = f'2026Z\t{ID}\tERROR\tInvoke Error \t{{"errorType":"Lost","errorMessage":"no table"}}'
PYTHON = "[ERROR] Lost: no table\nTraceback (most recent call last):\n  File x"
RUBY = ("Error raised from handler method\n", '{"errorType":"F<Lost>","errorMessage":"no table"}')
GO = '2026/09/14 22:25:42 {"errorMessage":"no such key","errorType":"errorString"}'


@pytest.mark.parametrize(
    ("runtime", "events", "error"),
    [
        ("python3.13", (PYTHON,), "Lost: no table"),
        ("python3.9", (PYTHON.replace("\n", "\r"),), "Lost: no table"),
        (  # a message that holds a traceback, of another process
            "python3.13",
            (
                "[ERROR] Lost: it said\nTraceback (most recent call last):\n  File y\nX: 1\n"
                "Traceback (most recent call last):\n\xa0\xa0File x",
            ),
            "Lost: it said",
        ),
        ("nodejs22.x", (NODE,), "Lost: no table"),
        ("java21", (JAVA,), "fn.H$Lost: no table"),
        ("ruby3.3", RUBY, "F<Lost>: no table"),
        ("ruby3.3", (RUBY[0].strip() + "  " + RUBY[1],), "F<Lost>: no table"),
        ("provided.al2023", (GO,), "errorString: no such key"),
        ("", (JAVA,), "fn.H$Lost: no table"),
    ],
)
def test_each_runtime_in_its_own_form(runtime: str, events: tuple[str, ...], error: str) -> None:
    found = judged(runtime, *events)
    assert found.failed is True
    assert error in found.error


@pytest.mark.parametrize("runtime", ["python3.13", "nodejs22.x", "java21", "ruby3.3"])
@pytest.mark.parametrize(
    "printed",
    [
        "[ERROR] could not parse row 5, skipped",
        "[ERROR]\t2026Z\tx\tonly logged\nTraceback (most recent call last):",
        "Task timed out after 30 s, trying again",
        f"RequestId: {OTHER} Error: Runtime exited",
        f'2026Z\t{ID}\tINFO\tInvoke Error \t{{"errorType":"Lost"}}',
        '{"type":"platform.report","record":{"requestId":"x","status":"error"}}',
        "Exception in thread: java.lang.RuntimeException",
        "[ERROR] no date\nTraceback (most recent call last):\n  File x\nValueError: no date",
        "[ERROR] Row: no\nTraceback (most recent call last):\n  File x\nValueError: no date\n",
        "[ERROR] row 5 is no date\nTraceback (most recent call last):\n  File x",
        "INIT_REPORT Init Duration: 1 ms\tPhase: invoke\tStatus: error",
    ],
)
def test_a_programs_own_words_prove_nothing(runtime: str, printed: str) -> None:
    assert judged(runtime, printed, "done well") == Outcome(False)


@pytest.mark.parametrize("runtime", ["provided.al2023", "go1.x", "dotnet8", ""])
def test_without_evidence_nothing_is_known(runtime: str) -> None:
    assert judged(runtime, "done well") == Outcome(None)


def test_a_record_that_a_program_went_on_after_is_its_own() -> None:
    slog = '{"time":"2026-11-28T00:59:23Z","level":"INFO","msg":"went on"}'
    platform = '{"time":"2026-11-28T00:59:23Z","type":"platform.runtimeDone","record":{}}'
    assert judged("provided.al2023", GO, slog) == Outcome(None)
    assert judged("ruby3.3", *RUBY, slog) == Outcome(False)
    assert judged("provided.al2023", GO, platform).failed is True


def test_another_requests_record_is_not_ours() -> None:
    theirs = (
        '{"timestamp":"t","level":"ERROR","errorMessage":"no","errorType":"Lost",'
        f'"requestId":"{OTHER}"}}'
    )
    assert judged("python3.13", theirs) == Outcome(False)
    assert judged("python3.13", theirs.replace(OTHER, ID)).failed is True


@pytest.mark.parametrize("runtime", ["python3.13", "provided.al2023"])
@pytest.mark.parametrize("status", ["error", "timeout", "failure"])
def test_a_platform_status_proves_failure_for_every_runtime(runtime: str, status: str) -> None:
    report = f"{REPORT}\tStatus: {status}\tError Type: Runtime.ExitError"
    assert judged(runtime, report=report) == Outcome(True, f"{status}: Runtime.ExitError")


NODE24 = '{"errorType":"Error","errorMessage":"no table"}'


@pytest.mark.parametrize(
    "printed",
    [
        f"2026Z\t-\tERROR\tInit Error \t{NODE24}",
        f'{{"timestamp":"2026Z","level":"ERROR","requestId":"-","message":{NODE24}}}',
    ],
)
def test_node_24_names_no_call_while_it_loads(printed: str) -> None:
    """Printed by aws-lambda-ric 4.0.2, which lets Node print the error once more and end."""
    report = "INIT_REPORT Init Duration: 9 ms\tPhase: invoke\tStatus: error\tError Type: X"
    at_init = (printed, "Error: no table", "    at fn.js:2:37", "Node.js v24.1.0", report)
    assert judged("nodejs24.x", before=at_init) == Outcome(True, "Error: no table")
    assert judged("nodejs24.x", printed, "and on").failed is False


def test_a_failure_at_init_stands_before_the_start() -> None:
    report = "INIT_REPORT Init Duration: 9 ms\tPhase: {}\tStatus: error\tError Type: Runtime.X"
    at_invoke = (PYTHON, report.format("init"), PYTHON, report.format("invoke"))
    assert judged("python3.13", before=at_invoke) == Outcome(True, "[ERROR] Lost: no table")
    assert judged("python3.13", before=at_invoke[:2]) == Outcome(False)  # the second try loaded it


def named_json(**message: object) -> str:
    return json.dumps({"level": "ERROR", "requestId": ID, **message})


#: What toJSON of axios' errors leaves, and a circular error, as Node's runtime client prints them.
AXIOS = {"message": "status code 404", "name": "AxiosError", "stack": "AxiosError: x\n    at f"}
CIRCULAR = "<ref *1> Error: circular\n    at f (h.js:4:12) {\n  response: [Circular *1]\n}"
WORDED = "no table: fn.Lost\nLost(table=orders)\n\tat fn.H.handle(H.kt:9)"


@pytest.mark.parametrize(
    ("runtime", "event", "error"),
    [
        (  # the words in a frame's own source line
            "python3.13",
            "[ERROR] Lost: no\nTraceback (most recent call last):\n\xa0\xa0File x, in f\n"
            '\xa0\xa0\xa0\xa0raise Lost("Traceback (most recent call last):")',
            "Lost: no",
        ),
        ("python3.13", PYTHON.replace("Lost", "Потеряно"), "Потеряно: no table"),
        ("nodejs22.x", NODE.partition("\t{")[0] + "\t" + json.dumps(AXIOS), "status code 404"),
        ("nodejs22.x", NODE.partition("\t{")[0] + '\t"refused"', 'Invoke Error "refused"'),
        ("nodejs22.x", NODE.replace("errorType", "errorKind"), "no table"),
        (
            "java21",
            "java.lang.NullPointerException: java.lang.NullPointerException\n"
            "java.lang.NullPointerException\n",
            "java.lang.NullPointerException",
        ),
        ("java21", "no table: fn.Lost\nfn.Lost: no table\n\n", "fn.Lost: no table"),
        ("java21", JAVA.replace("Lost", "Потеряно"), "fn.H$Потеряно: no table"),
    ],
)
def test_a_record_that_the_error_worded_is_a_failures(runtime: str, event: str, error: str) -> None:
    found = judged(runtime, "begun", event)
    assert found.failed is True
    assert error in found.error


@pytest.mark.parametrize(
    ("runtime", "event"),
    [
        ("nodejs22.x", named_json(message=AXIOS)),
        ("nodejs22.x", named_json(message=CIRCULAR)),
        ("java21", WORDED),
        ("java21", named_json(AWSRequestId=ID, message=WORDED)),
    ],
)
def test_what_a_program_could_have_printed_last_is_no_success(runtime: str, event: str) -> None:
    assert judged(runtime, "begun", event) == Outcome(None)
    assert judged(runtime, event, "went on") == Outcome(False)


def test_what_node_prints_of_a_failure_a_program_prints_of_an_error_that_it_dealt_with() -> None:
    """`console.error(error)` is what the runtime's client calls: the log is the same, in JSON."""
    error = {"errorType": "Lost", "errorMessage": "no table", "stackTrace": []}
    told = named_json(message=error)
    assert judged("nodejs22.x", "begun", told) == Outcome(True, "Lost: no table", doubtful=True)
    assert judged("nodejs22.x", told, "went on") == Outcome(False)
    text = f"2026-11-28T00:59:02.506Z\t{ID}\tERROR\tInvoke Error \t{json.dumps(error)}"
    assert judged("nodejs22.x", text) == Outcome(True, "Lost: no table")
    proven = judged("nodejs22.x", told, report=f"{REPORT}\tStatus: error")
    assert (proven.failed, proven.doubtful) == (True, False)


@pytest.mark.parametrize(
    ("runtime", "event"),
    [
        ("nodejs22.x", named_json(message="3 rows were skipped")),
        ("nodejs22.x", named_json(message=AXIOS).replace("ERROR", "WARN", 1)),
        ("java21", "could not save: java.io.IOException\n\tat fn.H.handle(H.java:9)"),
        ("java21", "could not save: disk full\nsecond line"),
        ("java21", "state: ready\nready"),
        ("java21", "state: ready\nready: to go"),
    ],
)
def test_a_last_print_without_the_form_is_a_success(runtime: str, event: str) -> None:
    assert judged(runtime, "begun", event) == Outcome(False)


@pytest.mark.parametrize("runtime", ["python3.13", "nodejs22.x", "java21", "ruby3.3", "go1.x", ""])
@pytest.mark.parametrize(
    "piece", [": A\nA", "x: A\n", "A: A\nA: ", "[ERROR] a: b\r\n", "\t", "\n "]
)
def test_the_longest_print_costs_its_length_and_not_the_square_of_it(
    runtime: str, piece: str
) -> None:
    # CloudWatch keeps 256 kB of one event; a square would be minutes here and hours there, and the
    # suite's own limit for a test ends it.
    assert judged(runtime, piece * (1_000_000 // len(piece))).failed is not True
