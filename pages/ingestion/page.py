"""Run the ingestion of a dataset, see what became of it, and keep the mapping."""

import streamlit as st

from backend.connections import environments
from backend.core.access import Actor, Permission
from pages.ingestion import datasets_view, history_view, mapping_view, run_view, sources_view
from pages.shared import filters, waiting
from pages.shell import calls, flash, guard, head

VIEWS = {
    "run": "Datasets",
    "runs": "Runs",
    "mapping": "Mapping",
    "datahub": "DataHub",
}


def ask_environment() -> str:
    """The environment of the address, else the default one; "" when there is none at all."""
    known = calls.once(environments.list_all)
    if not known:
        st.info(
            "No environment is configured, so only the mapping of the environment variables and "
            "the machine's own AWS identity are there. An admin adds one under Connections."
        )
        return ""
    return filters.environment([item.name for item in known])


def ask_view(actor: Actor) -> str:
    """Which part of the page, of those that the actor may see."""
    allowed = {
        name: label
        for name, label in VIEWS.items()
        if name != "mapping" or actor.may(Permission.INGESTION_MAPPING_READ)
    }
    return filters.view(allowed, next(iter(allowed)), key="ingestion.view")


# gate
actor = guard.require(Permission.INGESTION_READ)
head.draw("Ingestion", "Starts the Lambda function or state machine that loads a dataset.")
with st.container():  # a place that stays: a message that goes must not close what is open below
    flash.show()
# ask
environment = ask_environment()
guard.allowed(actor, Permission.INGESTION_RUN, "start runs")
view = ask_view(actor)
# load, present, act
waiting.draw("ingestion", environment)
if view == "run":
    may = actor.may(Permission.INGESTION_RUN)
    retried = run_view.retried() if may else None  # fills the form in, so before it
    request = run_view.form(environment) if may else None
    request = request or retried or datasets_view.asked(environment)
    if request is not None:
        run_view.review(request)
    asked, run = st.container(), st.container()
    history_view.last_of_dataset(environment)
    datasets_view.draw(actor, environment)
    with asked:  # above the lists, and answered while these are drawn
        run_view.reviewed()
    run_view.dialog()
    with run:
        history_view.chosen(actor)
elif view == "runs":
    wanted = history_view.ask(actor, environment)
    history_view.table(history_view.load(wanted), wanted)
    history_view.opened(actor)
    history_view.chart(wanted)
elif view == "mapping":
    mapping_view.draw(actor, environment)
else:
    sources_view.draw(actor, environment)
