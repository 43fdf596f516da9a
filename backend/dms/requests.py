"""Mount requests: checked completely before anything is sent, masked everywhere but on the wire.

A deployed server reads a top-level `jobid`, the guide nests it in `job`: both are accepted, both
are put on the wire.
"""

import copy
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

from .errors import RequestValidationException

Action = Literal["mount", "unmount"]
ACTIONS: tuple[str, ...] = ("mount", "unmount")
TYPES = ("s3", "nfs")
MAX_JOBID = 2_147_483_647  # the ledger's column is INT
#: Of a server's message this many characters are kept; two of them as JSON fit MySQL's TEXT.
MAX_MESSAGE = 4_000
#: The queue is `dms.<host>`; AMQP names are short strings of at most 255 bytes.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,249}[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: What a program has beside JSON's own kinds and a server can read as text.
_AS_TEXT = (date, time, Decimal, UUID)
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")  # no database and no terminal takes these


MASK = "***"

_NAMES = re.compile(
    r"passw|secret|token|api_?key|access_?key|authorization|cookie|credential|private_?key|jwt",
    re.IGNORECASE,
)
#: Words of which one is in every text that the pattern fits, in small letters: most texts hold
#: none, and a pattern is forty times as slow as the look for a word.
_LOOKS = (
    (
        ("bearer", "basic"),
        re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE),
        r"\1 " + MASK,
    ),
    (("eyj",), re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}\.?[A-Za-z0-9_-]*"), MASK),
    (
        ("://",),
        re.compile(r"([a-z][a-z0-9+.-]{0,30}://[^\s:/@]*):[^\s@/]+@", re.IGNORECASE),
        rf"\1:{MASK}@",
    ),
    (("gaaaaa",), re.compile(r"\bgAAAAA[A-Za-z0-9_=-]{10,}"), MASK),
    (
        ("passw", "pwd", "secret", "token", "access_key"),
        re.compile(
            r"((?:password|passwd|pwd|secret|token|access_key|secret_ref)[\"']?\s*[=:]\s*[\"']?)"
            r"(?!\*\*\*)[^\s\"',;&}]+",
            re.IGNORECASE,
        ),
        r"\1" + MASK,
    ),
)


@functools.lru_cache(maxsize=1024)
def names_secret(key: str) -> bool:
    """Whether a field of this name holds a secret."""
    return bool(_NAMES.search(key))


def mask_text(text: str) -> str:
    """`text` without anything that looks like a credential."""
    lowered = text.casefold()
    for words, pattern, replacement in _LOOKS:
        if any(word in lowered for word in words):
            text = pattern.sub(replacement, text)
    return text


def mask(value: Any, secrets: list[str], key: str = "") -> Any:
    """A copy of a JSON-like value with secrets replaced by `***`; `secrets` gets their texts."""
    if isinstance(value, str):
        if not (value and names_secret(key)):
            return mask_text(value)
        secrets += _texts(value)
        return MASK
    if value and not isinstance(value, bool) and names_secret(key):
        secrets += _texts(value)
        return MASK
    if isinstance(value, dict | Mapping):
        return {k: mask(v, secrets, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(item, secrets) for item in value]
    return value


def _texts(value: Any) -> Iterator[str]:
    """Every text in what is secret, at any depth: contexts carry tokens as well."""
    if isinstance(value, Mapping):
        value = value.values()
    elif isinstance(value, str):
        if len(value) > 3:
            yield value
        return
    elif not isinstance(value, list | tuple):
        return
    for inner in value:
        yield from _texts(inner)


@dataclass(frozen=True)
class MountRequest:
    """A checked request.

    wire: the message for the server, with secrets, and body the same as it goes onto the wire.
    shown: the same masked.
    secrets: the values to mask anywhere else, in every spelling that servers quote them in, the
    longest first.
    """

    action: Action
    jobid: int
    backup_target_id: str
    host: str
    wire: dict[str, Any] = field(repr=False)
    body: bytes = field(repr=False, default=b"")
    shown: Any = field(repr=False, default_factory=dict)
    secrets: tuple[str, ...] = field(repr=False, default=())

    def masked(self) -> str:
        """The request as it may be stored and shown, as JSON."""
        return self.scrub(json.dumps(self.shown, ensure_ascii=False, default=str))

    def scrub(self, text: str) -> str:
        """`text` without this request's secrets; servers quote them in error messages."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def parse(request: Any, action: Action, *, keystone_token: str = "") -> MountRequest:
    """Check `request` for `action`; the caller's dict is not touched.

    keystone_token: used when the request carries none. Raises RequestValidationException that
    names every missing or wrong field at once.
    """
    if not isinstance(request, Mapping):
        raise RequestValidationException(["the request must be an object (a dict)"])
    try:
        wire: dict[str, Any] = _copied(dict(request))
    except RecursionError:
        raise RequestValidationException(["the request is nested too deeply"]) from None
    except Exception as exc:  # an object of the caller's own that refuses, in words of its own
        what = f"the request holds what cannot be copied ({type(exc).__name__})"
        raise RequestValidationException([what]) from exc
    problems: list[str] = []
    _object(wire, "context", "user_id, tenant_id …", problems)
    if not wire.get("keystone_token"):
        wire["keystone_token"] = keystone_token  # servers look for the key in any case
    jobid = _jobid(wire, problems)
    host = _host(wire, problems)
    if wire.get("action", action) not in ACTIONS:
        problems.append("action must be mount or unmount")
    wire["action"] = action
    target = _target(wire, problems)
    if target.get("type") != "nfs" or wire["keystone_token"] != "":
        # nfs needs no secret, so nobody has to be asked for one
        _text(wire, "keystone_token", "keystone_token", problems)
    body = b"" if problems else _body(wire, problems)
    if problems:
        raise RequestValidationException(problems)
    secrets: list[str] = []
    return MountRequest(
        action=action,
        jobid=jobid,
        backup_target_id=target["id"],
        host=host,
        wire=wire,
        body=body,
        shown=mask(wire, secrets),
        secrets=tuple(sorted(set(_spellings(secrets)), key=len, reverse=True)),
    )


def _spellings(secrets: Iterable[str]) -> Iterator[str]:
    for secret in secrets:
        yield secret
        if not secret.isalnum() or not secret.isascii():
            yield json.dumps(secret)[1:-1]
            yield json.dumps(secret, ensure_ascii=False)[1:-1]
            yield quote(secret, safe="")


def _copied(value: Any) -> Any:
    """As copy.deepcopy, which takes three times as long over what JSON has."""
    if isinstance(value, str | int | None):
        return value
    if type(value) is dict:
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if type(value) is list else copy.deepcopy(value)


def _body(wire: dict[str, Any], problems: list[str]) -> bytes:
    try:
        other = functools.partial(_as_json, problems)
        return json.dumps(wire, ensure_ascii=False, allow_nan=False, default=other).encode()
    except UnicodeEncodeError:
        problems.append("the request holds half a character (a lone surrogate)")
    except ValueError:
        problems.append("the request holds a number that JSON cannot carry")
    except TypeError:
        problems.append("the request holds an object with keys that are not text")
    return b""


def _as_json(problems: list[str], value: object) -> str:
    said = f"the request holds a value of the type {type(value).__name__}, which JSON cannot carry"
    if not isinstance(value, _AS_TEXT) and said not in problems:
        problems.append(said)
    return str(value)


def _jobid(wire: dict[str, Any], problems: list[str]) -> int:
    job = wire.get("job", {})
    if not isinstance(job, Mapping):
        problems.append("job must be an object with jobid, an integer")
        return 0
    job = dict(job)
    nested, top = job.get("jobid"), wire.get("jobid")
    if nested is None and top is None:
        problems.append("job.jobid is missing: an integer")
        return 0
    found = nested if nested is not None else top
    if nested is not None and top is not None and nested != top:
        problems.append("job.jobid and the top-level jobid differ")
    if isinstance(found, bool) or not isinstance(found, int):
        problems.append(f"job.jobid must be an integer, not {type(found).__name__}")
        return 0
    if not 0 <= found <= MAX_JOBID:
        problems.append(f"job.jobid must be between 0 and {MAX_JOBID}")
    job["jobid"] = wire["jobid"] = found
    wire["job"] = job
    return found


def _host(wire: dict[str, Any], problems: list[str]) -> str:
    host = _text(wire, "host", "host", problems, why=": the compute node's name")
    if host and not _HOST.fullmatch(host):
        problems.append("host may only hold letters, digits, dots, dashes and underscores")
    return host


def _target(wire: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    given = _object(wire, "backup_target", "id, type and mount path", problems)
    if given is None:
        return {}
    wire["backup_target"] = target = dict(given)
    _text(target, "id", "backup_target.id", problems, limit=255)
    path = _text(
        target,
        "filesystem_export_mount_path",
        "backup_target.filesystem_export_mount_path",
        problems,
    )
    if path and not path.startswith("/"):
        problems.append("backup_target.filesystem_export_mount_path must be an absolute path")
    kind = target.get("type")
    if kind not in TYPES:
        problems.append("backup_target.type must be s3 or nfs")
    elif kind == "s3":
        _text(target, "secret_ref", "backup_target.secret_ref", problems, why=" (type s3)")
    else:
        name = "backup_target.filesystem_export"
        _text(target, "filesystem_export", name, problems, why=" (type nfs)")
    options = target.setdefault("nfs_mount_opts", None)
    if options is not None and not isinstance(options, str):
        problems.append("backup_target.nfs_mount_opts must be text or null")
    for optional in ("filesystem_export", "secret_ref", "status"):
        target.setdefault(optional, None)
    return target


def _object(
    wire: Mapping[str, Any], key: str, fields: str, problems: list[str]
) -> Mapping[str, Any] | None:
    value = wire.get(key)
    if isinstance(value, Mapping):
        return value
    wrong = "is missing: an object" if value is None else "must be an object"
    said = "" if value is None else f", not {type(value).__name__}"
    problems.append(f"{key} {wrong} with {fields}{said}")
    return None


def _text(
    holder: Mapping[str, Any],
    key: str,
    name: str,
    problems: list[str],
    *,
    limit: int = 8192,
    why: str = "",
) -> str:
    value = holder.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        problems.append(f"{name} is missing{why}")
    elif not isinstance(value, str):
        problems.append(f"{name} must be text, not {type(value).__name__}")
    elif len(value) > limit or _CONTROL.search(value):
        problems.append(f"{name} must be at most {limit} characters, without control characters")
    else:
        return value
    return ""


@dataclass(frozen=True)
class Reply:
    """A DMS server's answer, read."""

    status: Literal["success", "error"]
    error_msg: str | None
    success_msg: str | None

    @property
    def succeeded(self) -> bool:
        return self.status == "success"

    def shown(self, hide: Callable[[str], str]) -> "Reply":
        """As it may be stored and shown: secrets taken out by `hide`, long messages cut."""
        error, success = (
            None if message is None else cut(hide(message), MAX_MESSAGE)
            for message in (self.error_msg, self.success_msg)
        )
        return Reply(self.status, error, success)

    def text(self) -> str:
        """As JSON, for the record."""
        document = {
            "status": self.status,
            "error_msg": self.error_msg,
            "success_msg": self.success_msg,
        }
        return json.dumps(document, ensure_ascii=False)


def counted(count: int, one: str) -> str:
    """ "1 other job", "2 other jobs"."""
    return f"{count:,} {one}{'' if count == 1 else 's'}"


def cut(text: str, most: int) -> str:
    """The beginning of `text`; the last character says that there was more."""
    return text if len(text) <= most else text[: most - 1] + "…"


def readable(text: str) -> str:
    """`text` with a sign in place of what cannot be stored: NUL, and half a character."""
    return _UNUSABLE.sub("\ufffd", text)


def parse_reply(body: bytes) -> Reply | None:
    """The answer in `body`, or None when it is not JSON or lacks keys (which proves nothing).

    What no database can hold is replaced: an answer must not get lost over one character.
    """
    try:
        document = json.loads(body.decode(json.detect_encoding(body), "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not {"status", "error_msg", "success_msg"} <= set(
        document
    ):
        return None
    messages = (document["error_msg"], document["success_msg"])
    if document["status"] not in ("success", "error"):
        return None
    if not all(m is None or isinstance(m, str) for m in messages):
        return None
    error, success = (readable(m) if m is not None else None for m in messages)
    return Reply(document["status"], error, success)


def masked_reply(body: bytes) -> str:
    """A reply as text that may be stored, when the request it answers is not at hand."""
    reply = parse_reply(body)
    if reply is not None:
        return reply.shown(mask_text).text()
    return unreadable_reply(body, mask_text)


def unreadable_reply(body: bytes, hide: Callable[[str], str]) -> str:
    """What can be kept of an answer that is none."""
    return cut(hide(readable(body.decode("utf-8", "replace"))), MAX_MESSAGE)
