"""What user sync's endpoints are sent."""

from pydantic import Field, StrictBool

from backend.api.deps import RequestBody
from backend.user_sync.rules import MAX_REASON


class PlanRequest(RequestBody):
    """environment: a name; left out: the default one."""

    environment: str | None = Field(default=None, max_length=80)
    acceptShort: StrictBool = False


class ApplyRequest(RequestBody):
    """emails and userIds: only these users; left out: every change of the plan.

    confirm: the number of users, needed above the environment's limit. wait: seconds to wait for
    the end before answering 202.
    """

    emails: list[str] | None = Field(default=None, max_length=100_000)
    userIds: list[str] | None = Field(default=None, max_length=100_000)
    confirm: str | int = ""
    wait: float = Field(default=20, ge=0, le=60)


class IgnoreRequest(RequestBody):
    """userId or email: whose difference; field: an attribute; reason: others will read it."""

    userId: str = Field(default="", max_length=64)
    email: str = Field(default="", max_length=320)
    field: str = Field(max_length=40)
    reason: str = Field(max_length=MAX_REASON)


class DomainMapRequest(RequestBody):
    """said: the directory's word; domain: the full name of the domain meant."""

    said: str = Field(min_length=1, max_length=256)
    domain: str = Field(min_length=1, max_length=3000)


class UploadRequest(RequestBody):
    """content: the whole file as text."""

    name: str = Field(default="people", max_length=255)
    content: str = Field(max_length=8 * 1024 * 1024)
