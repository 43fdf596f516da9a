"""Prove the deployment: the portal through itself, its token gone afterwards, and its faces."""

import json

import pytest
from sqlalchemy import select

from backend.accounts import deployment
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import NotPermitted
from backend.integrations.portal import probes
from backend.jobs import runner
from backend.models import ApiToken, Job
from tests.fixtures.portal import Portal


def test_doctor_through_the_portal_itself(portal: Portal) -> None:
    """Its own loopback is a trusted proxy by default, so who calls from there is believed."""
    ended = portal.cli(
        "doctor", "--through", f"http://localhost:{portal.port}", "--json", check=False
    )
    assert ended.returncode == 1
    document = json.loads(ended.stdout)
    bad = {check["name"]: check["mend"] for check in document["checks"] if not check["ok"]}
    assert list(bad) == ["Forged X-Forwarded-For"]
    assert bad["Forged X-Forwarded-For"].startswith("proxy_set_header X-Forwarded-For")
    assert document["peer"] in ("127.0.0.1", "::1")


def test_the_token_is_revoked_whatever_came_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "WITHOUT_TOKEN", ())
    with pytest.raises(probes.UpstreamUnavailable, match="does not answer"):
        deployment.prove(database, SYSTEM, url="http://127.0.0.1:1")
    with database.read() as session:
        [token] = session.scalars(select(ApiToken))
        assert token.revoked_at is not None
        assert (token.role, token.actions) == ("auditor", '["accounts:account:read"]')


def test_only_who_may_make_tokens(database: Database) -> None:
    with pytest.raises(NotPermitted, match="api_token"):
        deployment.prove(database, Actor(1, "ann", Role.AUDITOR, "user"))


def test_the_job_fails_with_a_sentence_where_nothing_answers(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTAL_PUBLIC_URL", "http://127.0.0.1:1")
    deployment.get_settings.cache_clear()
    with database.write() as session:
        job_id = deployment.start(session, SYSTEM)
    runner.run(job_id, database)
    with database.read() as session:
        row = session.get_one(Job, job_id)
        assert (row.state, "does not answer" in (row.error or "")) == ("failed", True)
