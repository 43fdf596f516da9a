"""Prove the deployment: the portal is called through its public address, and says what came out."""

from collections.abc import Callable

from backend.accounts import api_tokens
from backend.core import access
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, WriteSession
from backend.core.forwarded import RequestView
from backend.core.settings import get_settings
from backend.integrations.portal import probes
from backend.integrations.portal.probes import Address, Check
from backend.jobs.enqueue import enqueue

KIND = "accounts.prove_deployment"


class Deployment(RequestView):
    """What the portal believes of a request through `url`, and a check per attack."""

    url: str
    checks: list[Check]


def prove(
    database: Database,
    actor: Actor,
    *,
    url: str = "",
    step: Callable[[int, int, str], None] | None = None,
) -> Deployment:
    """Call the portal through `url` (PORTAL_PUBLIC_URL by default), with a token made for it.

    step: told before each check how many are done, of how many, and its name; may raise to stop.
    Raises InvalidInput, UpstreamUnavailable when nothing answers there, UpstreamError when what
    answers is not this portal.
    """
    access.require(actor, Permission.API_TOKENS_WRITE)
    address = Address.of(url or get_settings().public_url)
    made = database.change(
        api_tokens.add,
        SYSTEM,
        name="prove deployment",
        role="auditor",
        days=1,
        actions=[Permission.ACCOUNTS_READ],
    )
    try:
        view = probes.believed(address, made.raw)
        checks = [probes.settings_fit(view), probes.forged_address(address, made.raw)]
    finally:
        database.change(api_tokens.revoke, SYSTEM, token_id=made.view.id)
    for check in probes.WITHOUT_TOKEN:
        if step is not None:
            step(len(checks), len(probes.WITHOUT_TOKEN) + 2, check.__name__.replace("_", " "))
        checks.append(check(address))
    return Deployment(url=address.url, checks=checks, **view.model_dump())


def start(session: WriteSession, actor: Actor) -> int:
    """The same as a job, through PORTAL_PUBLIC_URL; its number. The job's result is the report."""
    access.require(actor, Permission.API_TOKENS_WRITE)
    return enqueue(session, actor, KIND, {}, subject=get_settings().public_url)
