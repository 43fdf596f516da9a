"""Whether a Lambda call failed, from its log events, by evidence only.

What each runtime prints when a handler fails was measured with AWS's own runtime clients; a
program's own prints can hold the same words, so it is the whole form of a runtime's record that
counts, in one log event, and never a word in a line. Python, Node, Java and Ruby print a record for
every failure of a handler: no record and a normal end is success. Go does so only while the program
leaves its logger alone, Rust only with a subscriber, a custom runtime never: there the log of a
good run and of a bad one are the same, and the answer is None. So it is where an error's own class
words the record (`toJSON`, `toString`), and a program's print could look the same.

A platform status of error, failure or timeout proves failure for every runtime; `success` proves
nothing, because the platform says so of every error that a runtime handed over.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Families of the Runtime of GetFunctionConfiguration whose failures always leave a record.
TELLING = frozenset({"python", "nodejs", "java", "ruby"})
_FAMILY = re.compile(r"[a-z]+")
_BAD = frozenset({"error", "failure", "timeout"})

_PYTHON = re.compile(r"\[ERROR\] (?P<said>[^\W\d][\w.]*(?:: .*)?)[\r\n]+", re.S)
#: At the beginning of a line: a frame may show a source line that holds these words.
_TRACEBACK = re.compile(r"(?<=[\r\n])Traceback \(most recent call last\):")
_UNINDENTED = re.compile(r"[\r\n][^\s]")
_NODE = re.compile(
    r"\S+\t(?P<id>[0-9a-f-]{36}|undefined|-)\tERROR\t"
    r"(?P<record>(?:Invoke Error|Init Error|Uncaught Exception|Unhandled Promise Rejection) \t"
    r"(?P<json>.*))",
    re.S,
)
_NODE_STACK = re.compile(r"[\r\n] {4}at \S")
#: What may end the first line of a Java record, `message: class`.
_JAVA_HEAD = re.compile(r": ((?:[^\W\d]|\$)[\w.$]*)\n")
_FRAME = re.compile(r"\n[ \t]+at ")
_INDENTED_FRAME = re.compile(r"\s+at ")
_GO = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?P<json>\{.*)", re.S)
_GO_PANIC = "calling the handler function resulted in a panic, the process should exit"
_RUBY = re.compile(
    r"(?:Error raised from handler method|Critical exception from handler"
    r"|Init error when loading handler)\s*(?P<json>\{.*)?",
    re.S,
)
_TEXT_STATUS = re.compile(r"\tStatus: (?P<status>\w+)(?:\tError Type: (?P<type>[\w.]+))?")


@dataclass(frozen=True)
class Outcome:
    """failed: None when the log does not tell. error: the runtime's own words, "" without any.
    doubtful: a program that dealt with an error and printed it last leaves the very same log."""

    failed: bool | None
    error: str = ""
    doubtful: bool = False


def family(runtime: str) -> str:
    """ "python" of "python3.13"; "" for an image or when AWS did not say."""
    found = _FAMILY.match(runtime)
    return found[0] if found else ""


def of_call(events: Sequence[str], before: Sequence[str], request_id: str, runtime: str) -> Outcome:
    """The outcome of a call that has ended.

    events: from the call's START to its REPORT, and what the platform says of it behind that.
    before: what stands before START since the end of
    the stream's last call, where failures at init are. runtime: as AWS names it, "" for unknown.
    """
    kind = family(runtime)
    own = [event for event in events if not _of_another(event, request_id)]
    told = _platform_error(own, request_id)
    said = _last_error(own, request_id, kind) or told
    status, error_type = _status_of(next(filter(_is_report, reversed(events)), ""))
    init = _init_failure(before)
    if said or init or status in _BAD:
        at_init = _last_error(before, "", kind) if init or error_type else ""
        reason = said or at_init or init or f"{status}: {error_type or 'no error type'}"
        proven = told or init or status in _BAD
        return Outcome(True, reason, doubtful=not proven and _prints_alike(own, kind))
    return Outcome(False) if kind in TELLING and not _may_have_failed(own, kind) else Outcome(None)


def json_record(event: str) -> dict[str, Any] | None:
    """The event as a JSON object, None for anything else."""
    if not event.startswith("{"):
        return None
    try:
        record = json.loads(event)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _of_another(event: str, request_id: str) -> bool:
    """A JSON record that names another request: on managed instances they interleave."""
    record = json_record(event)
    named = _request_of(record) if record else ""
    return bool(named) and named != request_id


def _request_of(record: dict[str, Any]) -> str:
    inner = record.get("record")
    if isinstance(inner, dict):
        return str(inner.get("requestId") or "")
    named = str(record.get("requestId") or record.get("AWSRequestId") or "")
    return "" if named == "-" else named  # Node's since 24, outside of any call


def _last_error(events: Sequence[str], request_id: str, kind: str) -> str:
    """The last record of a failure in the form of this runtime (of any, when it is unknown)."""
    readers = [_READERS[kind]] if kind in _READERS else list(_READERS.values())
    if kind and kind not in _READERS:
        return ""
    for place in range(len(events) - 1, -1, -1):
        for read in readers:
            said = read(events, place, request_id)
            if said:
                return said[:500]
    return ""


def _python(events: Sequence[str], place: int, request_id: str) -> str:
    *_, traced = [None, *_TRACEBACK.finditer(events[place])]
    found = _PYTHON.fullmatch(events[place][: traced.start()]) if traced else None
    # Behind the runtime's own traceback stand frames only. What a program prints of an error that
    # it dealt with (`traceback.format_exc()`) ends with the error, at the beginning of a line.
    if traced and found and not _UNINDENTED.search(events[place], traced.end()):
        return f"[ERROR] {found['said']}"
    record = json_record(events[place])
    # logging.exception() in JSON has a message beside the error; the runtime's own record has none.
    if record is None or record.get("level") != "ERROR" or "message" in record:
        return ""
    return _named(record) if _request_of(record) == request_id else ""


def _node(events: Sequence[str], place: int, request_id: str) -> str:
    found = _NODE.match(events[place])
    if found:
        if found["id"] not in (request_id or "-", "undefined"):
            return ""
        return _named(json_record(found["json"])) or found["record"].replace("\t", "")
    record = json_record(events[place])
    if record is None or record.get("level") != "ERROR" or _request_of(record) != request_id:
        return ""
    message = record.get("message")
    # console.error(error) has this form too, but a failed handler prints nothing afterwards. While
    # loading, Node itself prints the error once more.
    last = not request_id or _is_last(events, place)
    return _named(message) if isinstance(message, dict) and last else ""


def _java(events: Sequence[str], place: int, request_id: str) -> str:
    text = events[place]
    record = json_record(text)
    if record is not None:
        if record.get("level") != "ERROR" or _request_of(record) != request_id:
            return ""
        text = str(record.get("message", ""))
    text = text.rstrip("\n")
    frame = _last_frame(text)
    for colon, name, stack in _java_heads(text):
        if _comes_again(text, colon, name, stack, frame):
            return f"{name}: {text[:colon]}"
    return ""


def _java_heads(text: str) -> list[tuple[int, str, int]]:
    """Each place that may end a record's first line, as (where the message ends, class, where the
    stack begins); the last first, for a message may hold lines like it.

    One pattern for all of it takes the square of the length of a text of such lines.
    """
    found = [(head.start(), head[1], head.end()) for head in _JAVA_HEAD.finditer(text)]
    return found[::-1]


def _comes_again(text: str, colon: int, name: str, stack: int, frame: int) -> bool:
    """Whether a Java stack begins there: class and message once more, then the frames, of which
    the last begins at `frame`. An exception may have no stack (then the text ends), and no message
    either: then the class stands in its place."""
    after = stack + len(name)
    if not text.startswith(name, stack):
        return False
    if after == len(text):
        return text[:colon] == name
    if not text.startswith(": ", after):
        return bool(_FRAME.match(text, after))
    whole = len(text) - after - 2 == colon and text.endswith(text[:colon])
    return frame >= after or whole


def _last_frame(text: str) -> int:
    """Where the last frame of a stack begins; -1 without one."""
    return max((found.start() for found in _FRAME.finditer(text)), default=-1)


def _ruby(events: Sequence[str], place: int, _request_id: str) -> str:
    found = _RUBY.fullmatch(events[place].rstrip("\n"))
    if not found:
        return ""
    following = events[place + 1] if place + 1 < len(events) else ""
    end = place if found["json"] else place + 1
    # A program may print the same two lines about an error that it dealt with, and go on.
    return _named(json_record(found["json"] or following)) if _is_last(events, end) else ""


def _go(events: Sequence[str], place: int, _request_id: str) -> str:
    found = _GO.match(events[place])
    record = json_record(found["json"]) if found else None
    if record is None or not record.keys() <= {"errorMessage", "errorType", "stackTrace"}:
        return ""
    # The client's own line is its last of a call, but for the one about a panic.
    return _named(record) if _is_last(events, place) else ""


_READERS = {"python": _python, "nodejs": _node, "java": _java, "ruby": _ruby, "go": _go}
#: Go programs run on the custom runtime since go1.x ended.
_READERS["provided"] = _go


_PLATFORM = ("END RequestId: ", "REPORT RequestId: ", "INIT_REPORT ", "RequestId: ")


def _is_platforms(event: str) -> bool:
    record = json_record(event)
    if record is None:
        return event.startswith(_PLATFORM)
    return str(record.get("type") or "").startswith("platform.")


def _is_last(events: Sequence[str], place: int) -> bool:
    """Whether the program printed nothing after it."""
    return all(
        _is_platforms(event) or event.rstrip().endswith(_GO_PANIC) for event in events[place + 1 :]
    )


def _prints_alike(events: Sequence[str], kind: str) -> bool:
    """Whether the runtime records a failure as `console.error(error)` prints it: Node's does, in
    its JSON format (the runtime's client calls that very function)."""
    return kind in ("nodejs", "") and json_record(_last_print(events)) is not None


def _last_print(events: Sequence[str]) -> str:
    return next((event for event in reversed(events) if not _is_platforms(event)), "")


def _may_have_failed(events: Sequence[str], kind: str) -> bool:
    """Whether the program's last print may be the runtime's record of an error that words itself.

    Node's JSON leaves it to the error (`toJSON`), and prints one that is circular as a text. Java's
    first line of the stack is what the exception's `toString` says.
    """
    last = _last_print(events)
    record = json_record(last)
    if record is not None:
        said = record.get("message") if record.get("level") == "ERROR" else None
        if kind == "nodejs":
            return isinstance(said, dict) or bool(_NODE_STACK.search(str(said)))
        last = str(said or "")
    frame = _last_frame(last)
    return kind == "java" and any(
        stack < frame and last[stack] != "\n" and not _INDENTED_FRAME.match(last, stack)
        for _, _, stack in _java_heads(last)
    )


def _named(record: Any) -> str:
    """`errorType: errorMessage` of a runtime's record; "" when it is none."""
    if not isinstance(record, dict) or not record.get("errorType"):
        return ""
    return f"{record['errorType']}: {record.get('errorMessage', '')}".rstrip(": ")


def _platform_error(events: Sequence[str], request_id: str) -> str:
    """What the platform itself says of this call in text: the process ended, or its time was up."""
    ended = re.compile(rf"RequestId: {re.escape(request_id)} Error: (.+)", re.S)
    words = r"(Task timed out after [\d.]+ seconds|Process exited before completing request)"
    late = re.compile(rf"\S+ {re.escape(request_id)} {words}\s*")
    for event in reversed(events):
        found = ended.match(event) or late.fullmatch(event)
        if found:
            return found[1].split("\n")[0]
    return ""


def _is_report(event: str) -> bool:
    return event.startswith("REPORT ") or '"platform.report"' in event


def _status_of(report: str) -> tuple[str, str]:
    """(status, error type) of the line or record that ended the call."""
    record = json_record(report)
    if record is not None:
        told = record.get("record")
        told = told if isinstance(told, dict) else {}
        return str(told.get("status") or ""), str(told.get("errorType") or "")
    found = _TEXT_STATUS.search(report)
    return (found["status"], found["type"] or "") if found else ("", "")


def _init_failure(before: Sequence[str]) -> str:
    """What ended the last attempt to load the function just before this call, "" when it loaded."""
    for event in reversed(before):
        record = json_record(event)
        if record is not None and record.get("type") == "platform.initReport":
            told = record.get("record") or {}
            phase, status = told.get("phase"), str(told.get("status") or "")
            error_type = str(told.get("errorType") or "")
        elif event.startswith("INIT_REPORT "):
            phase = "invoke" if "\tPhase: invoke" in event else "init"
            status, error_type = _status_of(event)
        else:
            continue
        return f"{status}: {error_type}" if phase == "invoke" and status in _BAD else ""
    return ""
