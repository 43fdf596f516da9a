"""What is still to be set up, job by job; it leads the page until the first job can run."""

from collections.abc import Sequence

import streamlit as st

from backend.connections import kinds
from backend.connections.checklist import JobSteps, Step
from backend.connections.schemas import EnvironmentView
from pages.shell import registry
from pages.shell.errors import escape

_SIGNS = {
    "missing": ":gray[:material/radio_button_unchecked:]",
    "untested": ":orange[:material/pending:]",
    "failed": ":red[:material/close:]",
    "ok": ":green[:material/check_circle:]",
}
_WORDS = {"missing": "to be set", "untested": "not tested yet", "failed": "its test failed"}


def draw(environment: EnvironmentView, jobs: Sequence[JobSteps], *, admin: bool) -> bool:
    """Draw it while a job lacks something; whether no job can run yet. admin: who may set up."""
    lacking = [job for job in jobs if not job.ready]
    if not lacking:
        return False
    first = len(lacking) == len(jobs)
    if first:
        st.header(f"Set up {escape(environment.name)}", anchor=False)
        st.markdown(
            ":green[:material/check_circle:] The environment is there. "
            + ("Press what one of the jobs needs, and fill in its form below." if admin else "")
        )
    place = st.container() if first else st.expander("Set up further jobs")
    with place:
        for column, job in zip(st.columns(len(jobs)), jobs, strict=True):
            with column, st.container(border=True):
                _job(job, environment.name, admin)
    return first


def leads_on(environment: str, jobs: Sequence[JobSteps], kind: str) -> None:
    """From a connection that works to what can be done with it."""
    for job in jobs:
        if job.ready and any(kind == step.kind and step.status == "ok" for step in job.steps):
            _start(job, environment, f"Next: {job.job}")


def _job(job: JobSteps, environment: str, admin: bool) -> None:
    st.markdown(f"**{job.job}**")
    for step in job.steps:
        _step(job, step, admin)
    if job.ready:
        _start(job, environment, "Start the first run")
    else:
        st.caption("Then: the first run")


def _start(job: JobSteps, environment: str, label: str) -> None:
    page = next(page for page in registry.PAGES if page.title == job.job)
    st.page_link(
        page.path,
        label=label,
        icon=":material/play_arrow:",
        query_params={"environment": environment},
    )


def _step(job: JobSteps, step: Step, admin: bool) -> None:
    """A line for what is set, else one for each kind that would do."""
    for kind in step.kinds if step.status == "missing" else (step.kind,):
        either = "or " if kind in step.kinds[1:] and step.status == "missing" else ""
        word = "if you have it" if step.optional and step.status == "missing" else ""
        word = word or _WORDS.get(step.status, "")
        said = f"{_SIGNS[step.status]} {either}{kinds.KINDS[kind].label}{word and ', '}{word}"
        if not admin:
            st.markdown(said)
        elif st.button(said, key=f"connections.checklist.{job.job}.{kind}", type="tertiary"):
            st.query_params["kind"] = kind
            st.rerun()
