"""What an Apprise address names, which hosts it reaches, and a message to it.

Apprise knows services that talk to this machine's desktop or log, and some that open sockets where
the guard of outgoing addresses cannot see them. Those that post over HTTP with `requests`, and
e-mail, are what is taken; of their options, none that reads a file, leaves TLS unverified, retries
by itself or calls a failure a success.
"""

import logging
import re
import sys
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from backend.core import outside, trust
from backend.core.errors import InvalidInput, UpstreamError
from backend.core.log import mask_text

SYSTEM = "Notification"
#: Seconds to connect, and for each answer on the wire.
TIMEOUT = 10.0
_MAIL = frozenset({"mailto", "mailtos"})
#: Keep subscriptions and keys in files of this machine.
_WITH_FILES = frozenset({"vapid", "fcm"})
_OPTIONS = frozenset({"verify", "retry", "wait", "optional", "redirect", "redirects", "rto", "cto"})
_TYPES = {"error": "failure", "warning": "warning", "info": "info"}


@dataclass(frozen=True)
class Service:
    """name: the address's scheme ("slack"). title: what people call it. hosts: of the address
    itself; () for a service that has a place of its own on the Internet. shown: without secrets."""

    name: str
    title: str
    hosts: tuple[str, ...]
    shown: str


def service(address: str) -> Service:
    """What an address names. Raises InvalidInput saying what is wrong with it."""
    found = _instance(address)
    name = urlsplit(address).scheme.lower()
    name = found.secure_protocol if name in ("http", "https") else name
    name = name if isinstance(name, str) else next(iter(name))
    title = str(found.service_name)
    hosts = {
        str(getattr(found, field))
        for field in ("host", "smtp_host")
        if getattr(found, field, None) and ("host" in found.template_tokens or name in _MAIL)
    }
    shown = f"{name}://{min(hosts) if hosts else '…'}"
    return Service(name, title, tuple(sorted(hosts)), shown)


def is_native(address: str) -> bool:
    """Whether a web address is a known service's own ("https://hooks.slack.com/…")."""
    import apprise

    plugins: Any = apprise.manager_plugins.NotificationManager
    return any(plugin.parse_native_url(address) for plugin in plugins().plugins())


@outside.call("notification")
def send(address: str, *, title: str, text: str, severity: str) -> None:
    """Send one message now. Raises UpstreamError with the reason that Apprise gives."""
    import apprise

    found = _instance(address)
    found.socket_connect_timeout = found.socket_read_timeout = TIMEOUT
    # A path, as requests takes it; for mail it is no more than true, and the machine's count.
    found.redirects, found.verify_certificate = False, trust.DEFAULT.bundle()
    found.retry, found.optional = 0, False
    with _Reasons() as reasons:
        sent = found.notify(
            body=text, title=title, notify_type=apprise.NotifyType(_TYPES[severity])
        )
    if not sent:
        raise UpstreamError(
            str(found.service_name),
            reasons.said() or "the message was not taken, and no reason was given",
            "Check the channel's address, and try it with the test.",
        )


def _instance(address: str) -> Any:
    import apprise

    problem = _refused(address)
    if problem:
        raise InvalidInput(problem)
    asset = apprise.AppriseAsset(app_id="Steward Portal", secure_logging=True, pgp_autogen=False)
    with _Reasons() as reasons:
        found = apprise.Apprise.instantiate(address, asset=asset)
    if found is None:
        raise InvalidInput(
            "The address is no notification service that the portal knows, or a part of it is "
            f"missing. {reasons.said()} The forms are at https://appriseit.com/services/."
        )
    posts = "requests" in vars(sys.modules[type(found).__module__])
    scheme = urlsplit(address).scheme.lower()
    if not (posts or scheme in _MAIL) or scheme in _WITH_FILES:
        raise InvalidInput(
            f"{found.service_name} is not sent to by HTTP or e-mail and cannot be used here. "
            "Use a web service, e-mail, or a webhook."
        )
    # "template" in several services, read as JSON and sent; whatever they call it tomorrow
    if any(isinstance(held, apprise.AppriseAttachment) and held for held in vars(found).values()):
        raise InvalidInput(
            f"The address lets {found.service_name} read a file of this machine or another "
            "address (its option template). Leave it out."
        )
    return found


def _refused(address: str) -> str:
    """Why an option of the address is not taken; "" when all are."""
    # As Apprise splits it: a "#" does not end the options there, rooms are called so.
    for part in re.split("[&;?]", address.partition("?")[2]):
        name = unquote_plus(part.partition("=")[0]).strip()
        option = name.lower().lstrip("+-:")
        if option in _OPTIONS or "file" in option or option.startswith("pgp"):
            return (
                f"The option {name[:40]} of the address is not taken: the portal verifies TLS, "
                "retries by itself, reads no files and says when a message failed. Leave it out."
            )
    return ""


class _Reasons(logging.Handler):
    """What Apprise logs while this thread works, for it returns no reason."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._lines.append(record.getMessage())

    def __enter__(self) -> "_Reasons":
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)

    def said(self) -> str:
        """The last line, with whatever looks like a secret taken out."""
        return mask_text(" ".join(self._lines[-1].split()))[:300] if self._lines else ""
