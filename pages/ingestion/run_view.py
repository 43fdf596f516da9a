"""Ask for a run: the form, everything that will be sent, and the confirmation."""

import secrets
from dataclasses import dataclass, replace

import streamlit as st

from auth import current
from backend.core import stopping
from backend.core.access import Actor
from backend.core.database import Database
from backend.core.errors import PortalError
from backend.ingestion import runs, search, service
from backend.ingestion.data_jobs import DataJobs
from backend.ingestion.errors import AlreadyRunning, KeyReused, NoMapping, StartFailed
from backend.ingestion.schemas import Candidate, Preview, Request, Resolution, RunView
from pages.ingestion import job_choice
from pages.shared import beside, confirm, filters, names, primary, status, times
from pages.shell import calls, flash, where
from pages.shell.errors import escape

DIALOG = "ingestion.confirm"
_ASKED = "ingestion.asked"
_PICKED = "ingestion.picked"
_HITS = "ingestion.find.hits"
_PREVIEW = "ingestion.preview"
_REASON = "ingestion.reason"
_RERUN_OF = "ingestion.rerun_of"
#: Pixels of what is sent; a longer one scrolls.
_PAYLOAD = 240
_WITH_A_RUN = (StartFailed, AlreadyRunning, KeyReused)


@dataclass(frozen=True)
class _Review:
    """What the dialog shows. jobs: those to pick from; note: why none is there or was taken."""

    request: Request
    preview: Preview
    jobs: DataJobs
    note: str


def form(environment: str) -> Request | None:
    """The form by URN, open when the address or an earlier run filled it; returns the request once
    "Review" was pressed."""
    named = any(st.query_params.get(name) for name in ("dataset_urn", "job_urn"))
    with st.expander("By URN, or from DataHub's search", expanded=named):
        return _form(environment)


def _form(environment: str) -> Request | None:
    _finder(environment)
    dataset = filters.text(
        "Dataset URN",
        "dataset_urn",
        key="ingestion.dataset_urn",
        placeholder="urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.db.table,PROD)",
    )
    left, right = st.columns(2)
    with left:
        job = filters.text(
            "Data job URN (optional)",
            "job_urn",
            key="ingestion.job_urn",
            placeholder="urn:li:dataJob:(urn:li:dataFlow:(airflow,flow,PROD),job)",
        )
    reason = right.text_input(
        "Reason (optional)", key=_REASON, placeholder="why now; kept with the run", max_chars=1000
    )
    earlier = st.session_state.get(_RERUN_OF)
    if earlier:
        st.caption(f"Filled in from run {escape(earlier)}; change what you like.")
    return _button(
        Request(
            dataset, job or None, reason.strip(), environment=environment or None, rerun_of=earlier
        )
    )


@st.fragment
def _button(request: Request) -> Request | None:
    """Its click runs this part alone: what is answered soon opens the dialog before all the page is
    drawn anew; what takes longer is waited for by the page."""
    if not st.button(
        "Review …",
        key="ingestion.review",
        type="primary",
        icon=":material/visibility:",
        disabled=not (request.dataset_urn or request.job_urn),
        shortcut=primary.key("run"),
    ):
        return None
    if not current.is_part():
        return request
    review(request)
    beside.wait_for(_ASKED)
    if not beside.answered(_ASKED):
        st.rerun()
    reviewed()
    dialog()
    return None


def fill_from(run: RunView) -> None:
    """Put an earlier run's request into the form."""
    if run.dataset_urn:
        st.query_params["dataset_urn"] = run.dataset_urn
    else:
        st.query_params.pop("dataset_urn", None)
    if run.job_urn:
        st.query_params["job_urn"] = run.job_urn
    else:
        st.query_params.pop("job_urn", None)
    st.query_params["view"] = "run"
    st.session_state[_REASON] = run.reason[:1000]
    st.session_state[_RERUN_OF] = run.run_id


def retried() -> Request | None:
    """What an address with `?retry=` wants to start again; it is reviewed like any other."""
    run_id = st.query_params.pop("retry", None)
    if not run_id:
        return None
    run = calls.read(service.get_run, run_id=run_id)
    fill_from(run)
    return Request(
        run.dataset_urn or "",
        run.job_urn,
        run.reason,
        environment=run.environment or None,
        rerun_of=run.run_id,
    )


def review(request: Request) -> None:
    """Ask everybody concerned what would happen, beside the page; `reviewed` opens the dialog."""
    beside.begin(_ASKED, request, calls.bound(_review_of, request=request))


def reviewed() -> None:
    """While it is asked, how long and the way to stop it; then the dialog."""
    if _ASKED not in st.session_state:
        return
    with beside.pressed(_ASKED, st.session_state[_ASKED].about) as found:
        if found is not None:
            _open(found)


def _review_of(database: Database, actor: Actor, *, request: Request) -> _Review:
    """A dataset without a job is reviewed with the job that writes it; the dialog lets another be
    picked, or none."""
    stopping.step("the mapping and DataHub")
    jobs, note = job_choice.of_dataset(database, actor, request)
    selected = job_choice.select(request, jobs)
    stopping.step("the target", 0.5)
    try:
        preview = runs.preview(database, actor, request=selected)
    except PortalError as exc:
        if selected == request:
            raise
        # The job was nobody's wish yet: what is wrong with it must not hide the dataset's rule.
        note, selected = f"The data job was not used: {exc.message}", request
        preview = runs.preview(database, actor, request=request)
    return _Review(selected, preview, jobs, note)


def _open(found: _Review) -> None:
    beside.forget(_PICKED)
    request = _confirmable(found.request, found.preview)
    st.session_state[_PREVIEW] = replace(found, request=request)
    confirm.open_dialog(DIALOG)


def _pick(found: _Review, asked: Request | None = None) -> None:
    """The job's select box; another choice is reviewed anew, because it may name another target.

    asked: with the choice that the dialog around it waits for; None where it waits for none.
    """

    def ask(chosen: str) -> None:
        request = replace(
            found.request, job_urn=chosen or None, expected_target=None, expected_rule=None
        )
        beside.begin(_PICKED, request, calls.bound(runs.preview, request=request))

    job_choice.draw(found.request, found.jobs, found.note, ask)
    picked = st.session_state.get(_PICKED)
    if (picked and picked.about) != asked:
        st.rerun()  # a choice runs this dialog alone, and the page has another one for it


def _picked(found: _Review) -> None:
    """While another job is reviewed there is nothing to confirm: what was shown is not of it. A
    refusal or a stop goes back to what was."""
    request: Request = st.session_state[_PICKED].about

    @st.dialog("Run the ingestion with another data job?", width="medium", on_dismiss=_leave)
    def meanwhile() -> None:
        where.badge()
        _pick(found, request)
        note = "The other data job was not used: stopped before it was looked at."
        try:
            with beside.pressed(_PICKED, request, raising=PortalError) as preview:
                pass
        except PortalError as exc:
            preview, note = None, f"The other data job was not used: {exc.message}"
        if _PICKED in st.session_state:
            return
        _open(_Review(request, preview, found.jobs, "") if preview else replace(found, note=note))
        st.rerun()

    meanwhile()


def _leave() -> None:
    confirm.close()
    beside.forget(_PICKED)


def _confirmable(request: Request, preview: Preview) -> Request:
    """The request bound to what the dialog shows: this environment, this rule, this target.

    One key per opened dialog: however often its button registers, there is one run.
    """
    answer = preview.resolution.answer
    return replace(
        request,
        environment=preview.resolution.environment or None,
        idempotency_key=f"page-{secrets.token_hex(12)}",
        expected_target=answer.target.name if answer else None,
        expected_rule=answer.rule if answer else None,
    )


def dialog() -> None:
    """The confirmation, while it is open."""
    if not confirm.is_open(DIALOG) or _PREVIEW not in st.session_state:
        return
    found: _Review = st.session_state[_PREVIEW]
    if _PICKED in st.session_state:
        _picked(found)
        return
    request, preview = found.request, found.preview
    blocked = _blocked(preview)
    if blocked:
        _refuse(blocked, found)
        return
    confirm.ask(
        DIALOG,
        title="Run the ingestion of this dataset?",
        body=lambda: _show(found),
        action="Start the run",
        on_confirm=lambda: _start(request),
        rule=(runs.RUN, preview.resolution.environment),
        may_wait=False,  # the reason is asked for above
        typed=names.urn_name(request.dataset_urn or request.job_urn or "")
        if preview.is_production
        else None,
        danger=preview.is_production,
    )


def explain(resolution: Resolution) -> None:
    """Which rule answered, which others would have, and what could not be asked."""
    if resolution.answer is None:
        urn = resolution.dataset_urn or resolution.job_urn or ""
        st.warning(escape(NoMapping(urn).message), icon=":material/warning:")
    else:
        _candidate("Target", resolution.answer)
    _beside(resolution)


def _beside(resolution: Resolution) -> None:
    if resolution.others:
        with st.expander(f"{len(resolution.others)} more rules would have answered"):
            for other in resolution.others[:50]:
                _candidate("", other)
    for note in resolution.notes:
        st.caption(escape(note))


def _candidate(label: str, candidate: Candidate) -> None:
    kind = "Lambda" if candidate.target.kind == "lambda" else "Step Functions"
    where = f" in the {candidate.source}'s mapping" if candidate.rule != candidate.source else ""
    pattern = f" · {escape(candidate.pattern)}" if candidate.pattern else ""
    head = f"**{label}:** " if label else ""
    st.markdown(
        f"{head}{kind} **{escape(candidate.target.name)}**  \n"
        f"named by the rule **{candidate.rule.replace('_', ' ')}**{where}{pattern}"
    )


def _blocked(preview: Preview) -> str:
    if preview.resolution.answer is None:
        found = preview.resolution
        return NoMapping(found.dataset_urn or found.job_urn or "").message
    if preview.resolution.existence == "missing":
        return "DataHub does not know what this names, so nothing is started."
    if preview.running is not None:
        return "This dataset has a run that may still be going. Wait for it or look at it below."
    return preview.target_problem


def _refuse(why: str, found: _Review) -> None:
    preview = found.preview

    @st.dialog("This cannot be started", width="large", on_dismiss=confirm.close)
    def refused() -> None:
        st.warning(escape(why), icon=":material/block:")
        _pick(found)
        if preview.running is not None:
            _line(preview.running)
        if preview.resolution.answer is None:
            _beside(preview.resolution)  # why it is refused says already that no rule answers
        else:
            explain(preview.resolution)
        if st.button("Close", key="ingestion.refused.close"):
            confirm.close()
            st.rerun()

    refused()


def _show(found: _Review) -> None:
    _pick(found)
    preview = found.preview
    explain(preview.resolution)
    if preview.machine_type == "EXPRESS":
        st.caption("An EXPRESS state machine: it can neither be followed nor stopped.")
    st.markdown(f"**Exact payload** · {preview.payload_bytes:,} bytes")
    # The browser draws it later than the button below, which must not move under the pointer.
    with st.container(height=_PAYLOAD, border=False):
        st.json(preview.payload, expanded=True)
    st.markdown("**Last runs of this dataset**")
    if not preview.last_runs:
        st.caption("None yet.")
    for run in preview.last_runs:
        _line(run)


def _line(run: RunView) -> None:
    st.markdown(
        f"{status.markdown(run.status)} {times.relative(run.created_at)} by "
        f"{escape(run.actor_name)} · {escape(run.run_id)}",
        help=times.exact(run.created_at),
    )


def _start(request: Request) -> None:
    """Start; whatever happens is said after the rerun, and the run is opened."""
    st.session_state.pop(_PREVIEW, None)
    try:
        run = calls.run(runs.start, raising=_WITH_A_RUN, request=request)
    except _WITH_A_RUN as exc:
        flash.error(escape(exc.message))
        st.query_params["run"] = exc.run.run_id
        return
    if run is None:
        return
    st.session_state.pop(_RERUN_OF, None)
    st.query_params["run"] = run.run_id
    flash.success(f"AWS accepted run {run.run_id}. Its outcome is followed below.")


def _finder(environment: str) -> None:
    """Look a dataset up by words."""
    with st.popover("Find a dataset …", icon=":material/search:"):
        words = st.text_input("Words", key="ingestion.find", placeholder="prices")
        if not words:
            st.caption("Asks DataHub's search; press Enter.")
            return
        hits = beside.shown(
            _HITS,
            (environment, words),
            calls.bound(search.find_datasets, text=words, environment=environment or None),
        )
        if hits is not None and not hits:
            st.caption("DataHub finds no such dataset.")
        for position, hit in enumerate(hits or ()):
            st.button(
                f"{escape(hit.name)} · {escape(hit.platform)}",
                key=f"ingestion.find.{position}",
                on_click=choose,
                args=(hit.urn,),
                width="stretch",
            )


def choose(urn: str) -> None:
    """Fill in a dataset."""
    st.query_params["dataset_urn"] = urn
    st.session_state.pop(_RERUN_OF, None)
