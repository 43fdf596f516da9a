"""Whole outcomes of one write, whatever the gateway says; what was sent, and with which guard."""

import time
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from msgspec.structs import replace as other

from backend.core.errors import (
    Conflict,
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.openmetadata.errors import (
    AccountGone,
    Denied,
    EmailsMasked,
    Moved,
    NotThere,
    Throttled,
    TokenRefused,
)
from backend.user_sync.writing import TRIES, Change, Outcome, Writer, _when, what_moved
from tests.backend.user_sync.test_matching import FINANCE, MARKETING, refs, user

ANN = user(display="Ann", updated_at=1_764_294_123_000)
CHANGED = other(ANN, display_name="Anna", version=0.2, updated_at=1_764_294_200_000)
NAME = Change(ANN.id, ANN.email, {"displayName": ("Ann", "Anna")}, ANN.version, ANN.updated_at)
BOTH = replace(NAME, changes={**NAME.changes, "domains": (refs(FINANCE), refs(MARKETING))})
LOST = OutcomeUnknown("OpenMetadata", "no answer came", "It may not have been stored.")
REFUSED = UpstreamError("OpenMetadata", "HTTP 500", "Look into its log.")
AWAY = UpstreamUnavailable("OpenMetadata", "nobody is there", "Try later.")
SLOW = UpstreamTimeout("OpenMetadata", "no answer in time", "Try later.")
TOKEN = TokenRefused("Expired", None)
APPLIED = Outcome(
    "applied", "", ("displayName",), version_after=0.2, updated_after=CHANGED.updated_at
)


@dataclass
class Gateway:
    """Answers reads and patches from two lists, the last again and again; errors are raised."""

    reads: list = field(default_factory=lambda: [ANN])
    patched: list = field(default_factory=lambda: [CHANGED])
    modern: bool = True
    guarded: bool = True
    sent: list = field(default_factory=list)
    waits: list = field(default_factory=list)

    def _next(self, answers):
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def user(self, user_id):
        assert user_id == ANN.id
        return self._next(self.reads)

    def patch_user(self, user_id, operations, *, if_match):
        assert user_id == ANN.id
        self.sent.append((operations, if_match))
        return self._next(self.patched)

    def has_domain(self, domain_id):
        return domain_id in (FINANCE.id, MARKETING.id)

    def version(self):
        return SimpleNamespace(stores_domains_with_if_match=self.modern)

    def enforces_if_match(self, user_id):
        assert user_id == ANN.id
        return self.guarded

    def back_off(self, attempt, exc):
        self.waits.append((attempt, exc))


def write(gateway, change=NAME, **account):
    return Writer(gateway, **account).write(change)


def settle(gateway, change=NAME):
    return Writer(gateway).settle(change)


class TestWhatIsSent:
    @pytest.mark.parametrize(
        ("change", "modern", "guarded", "if_match"),
        [
            (NAME, True, True, 0.1),
            (NAME, True, False, None),
            (NAME, False, True, 0.1),
            (BOTH, True, True, 0.1),
            # Older servers lose domains that are sent with If-Match.
            (BOTH, False, True, None),
        ],
        ids=["name", "not enforced", "name, older", "both", "both, older"],
    )
    def test_whole_values_guarded_by_the_version_just_read(self, change, modern, guarded, if_match):
        gateway = Gateway(modern=modern, guarded=guarded)
        write(gateway, change)
        ((operations, version),) = gateway.sent
        assert [each["path"] for each in operations] == [f"/{name}" for name in change.changes]
        assert version == if_match


class TestWrite:
    def test_stored(self):
        gateway = Gateway()
        assert write(gateway) == APPLIED
        older = Gateway(reads=[ANN, CHANGED], modern=False)
        assert write(older) == APPLIED

    def test_so_already(self):
        gateway = Gateway(reads=[CHANGED])
        assert write(gateway) == replace(APPLIED, reason="was so already", stored=())
        assert settle(gateway) == replace(APPLIED, reason="found stored after an interruption")
        assert gateway.sent == []

    def test_moved_again_and_again(self):
        gateway = Gateway(patched=[Moved()])
        assert write(gateway) == Outcome(
            "conflict", f"the user was changed by somebody else {TRIES} times while being written"
        )
        assert len(gateway.sent) == TRIES

    def test_throttled_it_waits_longer_each_time_and_then_leaves_it(self):
        slow = Throttled(7)
        gateway = Gateway(patched=[slow])
        assert write(gateway) == Outcome("pending", slow.message, away=True)
        assert gateway.waits == [(attempt, slow) for attempt in range(1, TRIES)]
        assert write(Gateway(patched=[slow, CHANGED])) == APPLIED

    @pytest.mark.parametrize(
        ("refusal", "outcome"),
        [
            (TOKEN, Outcome("pending", TOKEN.message, stops=True)),
            (Denied("no"), Outcome("failed", Denied("no").message)),
            (
                NotThere("gone"),
                Outcome(
                    "failed",
                    f"{NotThere('gone').message} The user or the domain was deleted meanwhile.",
                ),
            ),
            (AWAY, Outcome("sending", AWAY.message, away=True)),
            (REFUSED, Outcome("failed", REFUSED.message)),
            (
                LOST,
                Outcome(
                    "unknown",
                    f"{LOST.message} Read back, the old values were still there.",
                    away=True,
                ),
            ),
        ],
        ids=["token", "denied", "not there", "away", "error", "lost"],
    )
    def test_refused_or_lost_and_not_there(self, refusal, outcome):
        assert write(Gateway(patched=[refusal])) == outcome

    @pytest.mark.parametrize(
        ("refusal", "what"),
        [(REFUSED, "the answer was an error"), (LOST, "the answer was lost")],
    )
    def test_refused_or_lost_and_there_all_the_same(self, refusal, what):
        gateway = Gateway(reads=[ANN, CHANGED], patched=[refusal])
        assert write(gateway) == replace(APPLIED, reason=f"{what}, but the change is stored")

    @pytest.mark.parametrize(
        ("read", "outcome"),
        [
            (TOKEN, Outcome("sending", TOKEN.message, stops=True)),
            (AWAY, Outcome("sending", AWAY.message, away=True)),
            (SLOW, Outcome("sending", SLOW.message, away=True)),
            (Throttled(1), Outcome("sending", Throttled(1).message, away=True)),
            (
                REFUSED,
                Outcome(
                    "unknown", "It was sent, but could not be read back: OpenMetadata: HTTP 500."
                ),
            ),
            (
                Conflict("another word"),
                Outcome("unknown", "It was sent, but could not be read back: another word"),
            ),
        ],
        ids=["token", "away", "slow", "throttled", "error", "no system"],
    )
    def test_sent_and_not_readable(self, read, outcome):
        assert write(Gateway(reads=[ANN, read], patched=[ANN])) == outcome
        assert write(Gateway(reads=[ANN, read], patched=[REFUSED])) == outcome
        lost = write(Gateway(reads=[ANN, read], patched=[LOST]))
        assert lost == replace(outcome, state="unknown", reason=LOST.message)


class TestKept:
    KEPT = other(CHANGED, display_name="Ann", domains=refs(MARKETING))

    @pytest.mark.parametrize(
        ("account", "why"),
        [
            (
                {"principal": "bob", "is_bot": True},
                ": bob is a bot, and policy DefaultBotPolicy denies EditDisplayName. "
                "Use a technical admin account.",
            ),
            (
                {"is_bot": True},
                ": this account is a bot, and policy DefaultBotPolicy denies EditDisplayName. "
                "Use a technical admin account.",
            ),
            (
                {"principal": "bob"},
                ": a policy or the server's version does not let this account change it.",
            ),
            ({}, ": a policy or the server's version does not let this account change it."),
        ],
        ids=["bot", "nameless bot", "person", "nobody known"],
    )
    def test_the_old_name(self, account, why):
        gateway = Gateway(reads=[ANN, self.KEPT], patched=[self.KEPT])
        assert write(gateway, BOTH, **account) == Outcome(
            "failed",
            f"OpenMetadata accepted the change but kept the old display name{why}",
            stored=("domains",),
            version_after=0.2,
            updated_after=CHANGED.updated_at,
        )

    def test_the_old_domains_are_no_bots_matter(self):
        kept = other(CHANGED, domains=refs(FINANCE))
        gateway = Gateway(reads=[ANN, kept], patched=[kept])
        assert write(gateway, BOTH, principal="bob", is_bot=True).reason == (
            "OpenMetadata accepted the change but kept the old domains: "
            "a policy or the server's version does not let this account change it."
        )


class TestNotSent:
    """The read before it failed: nothing of this attempt left."""

    @pytest.mark.parametrize(
        ("read", "said", "how"),
        [
            (TOKEN, TOKEN.message, {"stops": True}),
            (AccountGone("x"), AccountGone("x").message, {"stops": True}),
            (EmailsMasked(), EmailsMasked().message, {"stops": True}),
            (LOST, "OpenMetadata: no answer came.", {"away": True}),
            (AWAY, AWAY.message, {"away": True}),
            (SLOW, SLOW.message, {"away": True}),
            (Throttled(1), Throttled(1).message, {"away": True}),
        ],
        ids=["token", "account", "masked", "lost", "away", "slow", "throttled"],
    )
    def test_what_passes_leaves_the_item_as_it_was(self, read, said, how):
        gateway = Gateway(reads=[read])
        assert write(gateway) == Outcome("pending", said, **how)
        assert settle(gateway) == Outcome("sending", said, **how)
        assert gateway.sent == []

    def test_a_user_that_is_gone(self):
        gone = Outcome("conflict", f"the user is gone: {NotThere('x').message}")
        assert write(Gateway(reads=[NotThere("x")])) == gone
        assert settle(Gateway(reads=[NotThere("x")])) == gone

    def test_an_error_says_nothing_of_what_was_sent_before(self):
        gateway = Gateway(reads=[REFUSED])
        assert write(gateway) == Outcome("failed", REFUSED.message)
        assert settle(gateway) == Outcome("unknown", REFUSED.message)


class TestWhatMoved:
    def test_times_are_utc_wherever_the_machine_stands(self, monkeypatch):
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        try:
            assert _when(1_764_294_123_000) == " on 2025-11-28 at 01:42 UTC"
        finally:
            monkeypatch.undo()
            time.tzset()

    @pytest.mark.parametrize(
        ("by", "at", "who"),
        [
            ("eve", 1_764_294_123_000, "; changed by eve on 2025-11-28 at 01:42 UTC"),
            ("eve", None, "; changed by eve"),
            ("", 1_764_294_123_000, " on 2025-11-28 at 01:42 UTC"),
            ("", 10**20, ""),
        ],
    )
    def test_a_name(self, by, at, who):
        now = other(ANN, display_name="Eva", version=0.2, updated_by=by, updated_at=at)
        assert what_moved(NAME, now) == f"the display name is now “Eva”, it was “Ann”{who}"

    def test_a_name_and_domains(self):
        now = other(
            ANN, display_name="Eva", domains=(), version=0.2, updated_by="", updated_at=None
        )
        assert what_moved(BOTH, now) == (
            "the display name is now “Eva”, it was “Ann” and the domains are now none, "
            "they were Finance"
        )

    def test_domains_behind_a_name_that_stayed(self):
        now = other(ANN, domains=(), version=0.2, updated_by="", updated_at=None)
        assert what_moved(BOTH, now) == "the domains are now none, they were Finance"

    def test_domains_that_the_list_showed_otherwise(self):
        now = other(ANN, domains=())
        assert what_moved(BOTH, now) == (
            "the server's list showed the domains Finance, but asked for the user alone it shows "
            "none, and nobody changed the user: one of them comes from a team. Give the domain to "
            "the user or take it from the team"
        )
        # Without a time of the last change nobody can tell.
        unknown = replace(BOTH, updated_at=None)
        assert what_moved(unknown, other(now, updated_at=None)).startswith("the domains are now")
        assert what_moved(BOTH, other(now, version=0.2)).startswith("the domains are now")

    def test_an_e_mail(self):
        now = other(ANN, email="eve@example.com")
        assert what_moved(NAME, now) == (
            "the user's e-mail is now eve@example.com; it was ann@example.com"
        )
        assert what_moved(replace(NAME, email=""), now) == ""
