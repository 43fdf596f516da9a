"""Why a plan or a run is refused, each a sentence."""

from backend.core.errors import Conflict, InvalidInput, NotFound, UpstreamError


class PlanNotFound(NotFound):
    def __init__(self, plan_id: int) -> None:
        super().__init__(f"There is no plan {plan_id}. The newest ones are in the history.")
        self.plan_id = plan_id


class RunNotFound(NotFound):
    def __init__(self, run_id: int) -> None:
        super().__init__(f"There is no run {run_id}. The newest ones are in the history.")
        self.run_id = run_id


class PlanNotReady(Conflict):
    def __init__(self, plan_id: int, state: str, error: str | None) -> None:
        why = f"failed: {error}" if state == "failed" else "is still being made; wait for it."
        super().__init__(f"Plan {plan_id} {why}")
        self.plan_id = plan_id


class PlanExpired(Conflict):
    def __init__(self, plan_id: int, when: str) -> None:
        super().__init__(f"Plan {plan_id} expired on {when}. Plan again and review the new one.")
        self.plan_id = plan_id


class NothingToApply(InvalidInput):
    def __init__(self, plan_id: int, *, chosen: bool) -> None:
        super().__init__(
            f"No user was chosen, so plan {plan_id} was not applied."
            if chosen
            else f"Plan {plan_id} changes nothing, so there is nothing to apply."
        )
        self.plan_id = plan_id


class NothingToContinue(Conflict):
    """Of every user of the run it is known what became."""

    def __init__(self, run_id: int, counts: dict[str, int]) -> None:
        ended = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()) if count)
        super().__init__(
            f"Run {run_id} has tried each of its users ({ended}), so nothing is left to continue. "
            "Plan again: a new plan compares with what OpenMetadata holds now."
        )
        self.run_id = run_id


class NotInPlan(InvalidInput):
    """named: a few of the users that are not in the plan or need no change."""

    def __init__(self, plan_id: int, named: list[str]) -> None:
        some = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        super().__init__(f"Plan {plan_id} changes nothing for {some}. Nothing was applied.")
        self.plan_id = plan_id


class AppliedWithout(Conflict):
    """A plan is applied once; missing: a few of the users its run left out."""

    def __init__(self, plan_id: int, run_id: int, missing: list[str]) -> None:
        some = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
        super().__init__(
            f"Plan {plan_id} was applied before, by run {run_id}, without {some}. "
            "Nothing was applied now; plan again to change them."
        )
        self.run_id = run_id


class ConfirmationNeeded(Conflict):
    """The blast-radius limit: type the number of users to go on."""

    def __init__(self, users: int, matched: int, percent: float) -> None:
        super().__init__(
            f"This changes {users} of {matched} users, more than the limit of {percent:g} %. "
            f"If that is meant, confirm with the number: {users}."
        )
        self.users = users


class ShortAnswer(UpstreamError):
    """The directory named far fewer people than the last time."""

    def __init__(self, count: int, last: int, share: float) -> None:
        super().__init__(
            "Directory",
            f"it named {count} people, the last good answer had {last}: less than {share:.0%}",
            "Check the directory. If it really shrank, plan once with the short answer accepted.",
        )


class FewMatched(UpstreamError):
    """Far fewer people than the last time, or nobody at all, were found in OpenMetadata."""

    def __init__(self, matched: int, people: int, last: float | None, share: float) -> None:
        found = f"{matched:,} of {people:,} people of the directory were found in OpenMetadata"
        if last and matched:
            found += f"; the last plan found {last:.0%}, this is less than {share:.0%} of that"
        super().__init__(
            "User sync",
            found,
            "Check that both sides are the right ones, that the directory's field is the e-mail, "
            "and that the token may see e-mails. If it is right so, allow fewer users this once.",
        )


class NothingToRevert(InvalidInput):
    def __init__(self, run_id: int) -> None:
        super().__init__(f"Run {run_id} stored nothing, so there is nothing to revert.")
        self.run_id = run_id


class RunActive(Conflict):
    def __init__(self, run_id: int) -> None:
        super().__init__(f"Run {run_id} is still at work. Wait for it, or cancel it first.")
        self.run_id = run_id


class ElsewhereNow(Conflict):
    def __init__(self, plan_id: int, planned: str, now: str) -> None:
        super().__init__(
            f"Plan {plan_id} was made for {planned}, but the environment's connection now points "
            f"to {now}. Plan again."
        )
        self.plan_id = plan_id


class RevertTooOld(Conflict):
    def __init__(self, run_id: int, days: int) -> None:
        super().__init__(
            f"Run {run_id} ended more than {days} days ago (PORTAL_KEEP_RUNS_DAYS), so what it "
            "stored is on its way out and cannot be taken back. Plan again instead."
        )
        self.run_id = run_id


class RevertElsewhere(Conflict):
    def __init__(self, run_id: int, wrote_to: str, now: str) -> None:
        super().__init__(
            f"Run {run_id} wrote to {wrote_to}, but the environment's connection now points to "
            f"{now}. Point it back to revert the run there."
        )
        self.run_id = run_id
