"""What is still to be set up, job by job; it leads the page until the first job can run."""

import streamlit as st

from backend.connections import checklist
from backend.connections.checklist import JobSteps, Step
from backend.connections.schemas import EnvironmentView
from pages.shell import calls, registry
from pages.shell.errors import escape

_SIGNS = {
    "missing": ":gray[:material/radio_button_unchecked:]",
    "untested": ":orange[:material/pending:]",
    "failed": ":red[:material/close:]",
    "ok": ":green[:material/check_circle:]",
}
_WORDS = {"missing": "to be set", "untested": "not tested yet", "failed": "its test failed"}


def draw(environment: EnvironmentView, *, admin: bool) -> bool:
    """Draw it while a job lacks something; whether no job can run yet. admin: who may set up."""
    jobs = calls.read(checklist.checklist, environment=environment.name)
    lacking = [job for job in jobs if not job.ready]
    if not lacking:
        return False
    first = len(lacking) == len(jobs)
    if first:
        st.subheader(f"Set up {escape(environment.name)}", anchor=False)
        st.markdown(
            ":green[:material/check_circle:] The environment is there. Next comes what one of the "
            "jobs needs; DataHub, where you have it, adds the catalog to tokenization and "
            "ingestion."
        )
    place = st.container() if first else st.expander("Set up further jobs")
    with place:
        for column, job in zip(st.columns(len(jobs)), jobs, strict=True):
            with column, st.container(border=True):
                _job(job, admin)
    return first


def _job(job: JobSteps, admin: bool) -> None:
    st.markdown(f"**{job.job}**")
    for step in job.steps:
        _step(job, step, admin)
    page = next(page for page in registry.PAGES if page.title == job.job)
    if job.ready and page.path.exists():
        st.page_link(page.path, label="Start the first run", icon=":material/play_arrow:")
    else:
        st.caption("Then: the first run")


def _step(job: JobSteps, step: Step, admin: bool) -> None:
    names = " or ".join(step.labels) if step.status == "missing" else _label(step)
    word = f", {_WORDS[step.status]}" if step.status in _WORDS else ""
    said = f"{_SIGNS[step.status]} {names}{word}"
    if not admin:
        st.markdown(said)
    elif st.button(
        said,
        key=f"connections.checklist.{job.job}.{step.kind}",
        type="tertiary",
    ):
        st.query_params["kind"] = step.kind
        st.rerun()


def _label(step: Step) -> str:
    return step.labels[step.kinds.index(step.kind)]
