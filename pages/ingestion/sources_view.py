"""DataHub's side: links to this page, ingestion sources that DataHub runs, local recipes."""

import streamlit as st

from backend.core.access import Actor, Permission
from backend.ingestion import background, managed, recipes
from backend.jobs import service as jobs
from backend.jobs.schemas import JobView
from pages.ingestion import schedules_view
from pages.shared import beside, confirm, job_progress, long_text, reason, status, tables, times
from pages.shell import calls
from pages.shell.errors import escape

RECIPE = "ingestion.recipe.confirm"
_SOURCES = "ingestion.sources"
_LINKS_JOB = "ingestion.links.job"
_MANAGED_JOB = "ingestion.managed.job"
_RECIPE_JOB = "ingestion.recipe.job"


def draw(actor: Actor, environment: str) -> None:
    """The three parts, each usable without the others."""
    sources(actor, environment)
    local_recipes(actor, environment)
    schedules_view.draw(environment)
    if actor.may(Permission.INGESTION_MAPPING_WRITE):
        links(environment)


def sources(actor: Actor, environment: str) -> None:
    """Sources that DataHub manages; running one is followed here."""
    ask = calls.bound(managed.list_sources, environment=environment or None)
    about = environment, _state(_MANAGED_JOB)  # a run that was started here changes what it says
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("Sources that DataHub runs", anchor=False, width="content")
        st.button(
            "",
            key=f"{_SOURCES}.refresh",
            icon=":material/refresh:",
            help="Ask DataHub again",
            on_click=beside.begin,
            args=(_SOURCES, about, ask),
        )
    page = beside.shown(_SOURCES, about, ask)
    if page is None:
        return
    if not page.items:
        st.info("DataHub has no ingestion source.")
    if page.items and actor.may(Permission.INGESTION_RUN):
        reason.field(_MANAGED_JOB)
    for source in page.items:
        _source(actor, source, environment)
    if page.total > len(page.items):
        st.caption(f"The first {len(page.items)} of {page.total} sources.")
    _progress(_MANAGED_JOB)


def _source(actor: Actor, source: managed.SourceView, environment: str) -> None:
    text, last, button, times_ = st.columns([4, 3, 2, 2], vertical_alignment="center")
    text.markdown(
        f"**{escape(source.name)}** · {escape(source.type)}  \n"
        f"{escape(source.schedule) if source.schedule else 'No schedule'}"
    )
    if source.last_status:
        last.markdown(
            f"{status.markdown(_word(source.last_status), label=escape(source.last_status))} "
            f"{times.relative(source.last_requested_at)}",
            help=times.exact(source.last_requested_at) or None,
        )
    else:
        last.markdown("Never run")
    if actor.may(Permission.INGESTION_RUN) and button.button(
        "Run now", key=f"ingestion.managed.{source.urn}", width="stretch"
    ):
        with reason.given(_MANAGED_JOB):
            job_id = calls.run(
                managed.run_source,
                source_urn=source.urn,
                name=source.name,
                environment=environment or None,
            )
        _keep(_MANAGED_JOB, job_id)
    with times_:
        schedules_view.form(actor, environment, "source", source.urn, source.name)


def local_recipes(actor: Actor, environment: str) -> None:
    """Recipes of data/recipes, run by DataHub's own command."""
    st.header("Recipes kept with the portal", anchor=False)
    found = calls.read(recipes.list_recipes)
    if not found:
        st.info("There is no recipe under data/recipes.")
        return
    tables.show(
        found,
        lambda recipe: {
            "Recipe": recipe.name,
            "Source": recipe.source_type,
            "Asked for": ", ".join(recipe.asked),
            "Can run": "no" if recipe.problem else "yes",
        },
        key="ingestion.recipes",
        alt="Recipes kept with the portal",
    )
    if note := calls.read(recipes.left_out):
        st.caption(note)
    for recipe in found:
        if recipe.problem:
            st.caption(f"**{escape(recipe.name)}** cannot run: {escape(recipe.problem)}.")
    good = {recipe.name: recipe for recipe in found if not recipe.problem}
    if actor.may(Permission.INGESTION_RUN) and good:
        name = st.selectbox("Recipe", list(good), key="ingestion.recipe")
        if name in good:
            _recipe(actor, good[name], environment)
    _progress(_RECIPE_JOB, log_lines=300)


def _recipe(actor: Actor, recipe: recipes.RecipeView, environment: str) -> None:
    """The recipe as it is, its open variables, and the button with its confirmation."""
    with st.expander("The recipe"):
        if recipe.filled:
            st.caption(f"Filled from connections: {escape(', '.join(recipe.filled))}")
        st.caption(f"Runs with: {escape(', '.join(recipe.packages))}")
        st.code(recipe.text, language="yaml", wrap_lines=True)
    values = {
        name: st.text_input(
            name,
            default or "",
            key=f"ingestion.recipe.{recipe.name}.{name}",
            type="password" if name in recipe.secret else "default",
            help="Stored encrypted until the run has read it."
            if name in recipe.secret
            else "Shown with the run to everybody who may see runs: enter no secrets here.",
        )
        for name, default in recipe.asked.items()
    }
    run, schedule = st.columns(2)
    run.button(
        "Run recipe …",
        key="ingestion.recipe.run",
        icon=":material/play_arrow:",
        on_click=confirm.open_dialog,
        args=(RECIPE,),
        width="stretch",
    )
    with schedule:
        schedules_view.form(actor, environment, "recipe", recipe.name, recipe.name, values)

    def start() -> None:
        job_id = calls.write(
            recipes.run_recipe,
            name=recipe.name,
            environment=environment or None,
            values=values,
        )
        _keep(_RECIPE_JOB, job_id)

    confirm.ask(
        RECIPE,
        title=f"Run {escape(recipe.name)}?",
        body=lambda: _what_runs(recipe, values, environment),
        action="Run the recipe",
        on_confirm=start,
        danger=False,
        rule=(recipes.RUN, environment),
    )


def _what_runs(recipe: recipes.RecipeView, values: dict[str, str], environment: str) -> None:
    st.markdown(
        f"DataHub's own command runs this recipe with the connections of **{escape(environment)}** "
        "and writes what the recipe says. What it needs is installed first, unless that was done "
        f"for an earlier run: {escape(', '.join(recipe.packages))}."
    )
    for name, value in values.items():
        shown = "•••" if value and name in recipe.secret else value
        st.markdown(f"**{escape(name)}** {escape(shown)}")
    long_text.draw(recipe.text, language="yaml", height=300)


def links(environment: str) -> None:
    """Put the "Run ingestion" link on DataHub's pages, or take it off."""
    st.header("Links on DataHub's dataset pages", anchor=False)
    st.markdown(
        "Puts a link “Run ingestion” on every dataset that has a target; it opens this page with "
        "the dataset filled in. Other links are never touched."
    )
    only = st.text_input(
        "Only this dataset (optional)", key="ingestion.links.urn", placeholder="urn:li:dataset:…"
    )
    put, remove = st.columns(2)
    for column, mode, label in (
        (put, "put", "Add the links"),
        (remove, "remove", "Remove the links"),
    ):
        if column.button(label, key=f"ingestion.links.{mode}", width="stretch"):
            _keep(
                _LINKS_JOB,
                calls.write(
                    background.queue_links,
                    mode=mode,
                    environment=environment or None,
                    dataset_urn=only.strip(),
                ),
            )
    view = _progress(_LINKS_JOB, log_lines=50)
    if view is not None and view.result:
        done = view.result
        st.caption(
            f"{done['changed']} changed, {done['unchanged']} as before, "
            f"{done['withoutTarget']} without a target, {done['failedTotal']} failed."
        )


def _keep(key: str, job_id: int | None) -> None:
    if job_id is not None:
        st.session_state[key] = job_id


def _state(key: str) -> tuple[int, str] | None:
    job_id = st.session_state.get(key)
    return (job_id, calls.read(jobs.get, job_id=job_id).state) if job_id else None


def _progress(key: str, *, log_lines: int = 20) -> JobView | None:
    job_id = st.session_state.get(key)
    if not job_id:
        return None
    with st.container(border=True):
        return job_progress.show(job_id, key=f"{key}.progress", log_lines=log_lines)


def _word(datahub: str) -> str:
    if datahub in managed.GOOD:
        return "succeeded"
    if datahub in managed.ENDED:
        return "failed"
    return "running"
