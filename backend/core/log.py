"""Structured logs on stderr: one JSON line per event, secrets masked, references to quote.

Masking works twice: keys that name a secret lose their value, and strings that look like a
credential (bearer tokens, JWTs, URLs with a password, AWS keys, keystone tokens) lose that part.
"""

import logging
import re
import secrets
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

MASK = "***"

_SECRET_KEY = re.compile(
    r"(passw|secret|token|api_?key|access_?key|authorization|cookie|credential|private_?key|jwt)",
    re.IGNORECASE,
)
#: Names that match the pattern above and yet hold no secret.
_HARMLESS_KEYS = frozenset(
    {"token_id", "token_name", "secret_name", "secrets_set", "access_key_id", "tokens_added"}
)
_PATTERNS = (
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), r"\1 " + MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}\.?[A-Za-z0-9_-]*"), MASK),
    # The scheme's length has a bound: without, a long word costs the square of its length.
    (
        re.compile(r"(?P<head>[a-z][a-z0-9+.-]{0,30}://[^\s:/@]*):[^\s@/]+@", re.IGNORECASE),
        r"\g<head>:" + MASK + "@",
    ),
    (re.compile(r"\bgAAAAA[A-Za-z0-9_=-]{10,}"), MASK),
    (re.compile(r"\bspt_[0-9a-f]{12}_[A-Za-z0-9_-]{20,}"), MASK),
    (
        re.compile(
            r"(?P<head>(?:password|passwd|pwd|secret|token|access_key|jwt_token|keystone_token|secret_ref)"
            # "This is a bot's token: bots may change domains" is a sentence, no value.
            r"[\"']?\s*[=:](?! [a-z]+ [a-z]+)\s*[\"']?)(?!\*\*\*)[^\s\"',;&}]+",
            re.IGNORECASE,
        ),
        r"\g<head>" + MASK,
    ),
)


def mask_text(text: str) -> str:
    """`text` without anything that looks like a credential."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def names_secret(key: str) -> bool:
    """Whether a field of this name holds a secret."""
    return bool(_SECRET_KEY.search(key)) and key.lower() not in _HARMLESS_KEYS


def mask(value: Any, key: str = "") -> Any:
    """A copy of a JSON-like value with secrets replaced by `***`."""
    if key and value and names_secret(key):
        return MASK if not isinstance(value, bool) else value
    if isinstance(value, Mapping):
        return {k: mask(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(item) for item in value]
    if isinstance(value, str):
        return mask_text(value)
    return value


def new_reference() -> str:
    """A short number a person can quote and an operator can search the log for."""
    return secrets.token_hex(4).upper()


def _masked(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in list(event.items()):
        event[key] = mask(value, "" if key in ("event", "exception") else key)
    return event


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
    structlog.processors.format_exc_info,
    _masked,
]


#: One list for every call of configure: loggers that were used before hold on to it.
_OWN: list[Any] = [
    structlog.stdlib.filter_by_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    *_SHARED[:-1],
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


class _MaskedFormatter(structlog.stdlib.ProcessorFormatter):
    """Foreign records are masked after their arguments were put in."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_text(super().format(record))


def configure(level: str = "INFO") -> None:
    """Send every log record of the process to stderr, as masked JSON lines. Safe to call again."""
    structlog.configure(
        processors=_OWN,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _MaskedFormatter(
            foreign_pre_chain=_SHARED[:-1],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _masked,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in (
        "pika",
        "botocore",
        "boto3",
        "urllib3",
        "httpx",
        "httpx2",
        "httpcore",
        "alembic",
        "apscheduler",
        "watchdog",
    ):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    # Several lines and a traceback for one closed port; our adapters say it in one sentence.
    for louder in ("pika", "databricks", "urllib3.connectionpool"):
        logging.getLogger(louder).setLevel(logging.CRITICAL)


def _before_configuring() -> None:
    """Masked lines through standard logging, for processes that are not the portal's own.

    The official `metadata` and `datahub` commands set up logging themselves. structlog's own
    default would print to stdout, with the local variables of every frame of a traceback.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            _masked,
            structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


_before_configuring()


def get_logger(name: str) -> Any:
    """A structlog logger; call as `log.info("Sentence.", key=value)`."""
    return structlog.stdlib.get_logger(name)


def log_unexpected(log: Any, message: str, exc: BaseException, **context: Any) -> str:
    """Log a bug with its traceback under a new reference; returns the reference."""
    reference = new_reference()
    log.error(message, reference=reference, exc_info=exc, **context)
    return reference
