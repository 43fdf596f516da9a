"""The Action for `datahub actions -c data/tokenize_action.yaml`: a tag starts a tokenization.

Only the official datahub-actions command imports this module. It uses the portal's own state
database and connections, so it needs the portal's environment variables and nothing else.
"""

from typing import Any

from datahub_actions.action.action import Action
from datahub_actions.event.event_envelope import EventEnvelope
from datahub_actions.pipeline.pipeline_context import PipelineContext
from pydantic import BaseModel, ConfigDict

from backend import composition
from backend.connections import resolve
from backend.core import log, secret_store, startup
from backend.core.access import Actor, Role
from backend.core.database import Database, get_database
from backend.core.settings import get_settings
from backend.tokenization import events, inline, watch
from backend.tokenization.events import TagChange
from backend.tokenization.schemas import Trigger

logger = log.get_logger(__name__)

ACTOR = Actor(id=0, name="datahub-actions", role=Role.STEWARD, kind="system")


class TokenizeActionConfig(BaseModel):
    """environment: the portal's environment whose DataHub these events come from; none means the
    default one. wait: run here and acknowledge afterwards; false leaves it to the portal's
    workers."""

    model_config = ConfigDict(extra="forbid")

    environment: str | None = None
    wait: bool = True


class TokenizeAction(Action):
    """Answers `tokenize/run` put on a dataset or on a field, once per tag.

    The portal's own tag writes never match: they take this tag off and put other tags on, and
    before a run the dataset is read and must still carry the tag.
    """

    @classmethod
    def create(cls, config_dict: dict[str, Any], ctx: PipelineContext) -> "TokenizeAction":
        return cls(TokenizeActionConfig.model_validate(config_dict or {}), ctx)

    def __init__(self, config: TokenizeActionConfig, ctx: PipelineContext) -> None:
        self._config, self._pipeline = config, ctx.pipeline_name
        self._database = _open()
        with self._database.read() as session:  # else each event would fail, and be set aside
            resolve.connection(session, environment=config.environment, kind="datahub")
        logger.info("Waiting for tags.", pipeline=ctx.pipeline_name)

    def act(self, event: EventEnvelope) -> None:
        """Raises when DataHub or the source database is away, so that the event is tried again."""
        change = _change(event)
        if change is None:
            return
        if not change.added:
            watch.forget(
                self._database, dataset=change.dataset, environment=self._config.environment
            )
            return
        found = watch.answer(
            self._database,
            ACTOR,
            dataset=change.dataset,
            environment=self._config.environment,
            trigger=Trigger.ACTION,
        )
        if found is None:
            logger.info("The tag is gone or answered already.", dataset=change.dataset)
        elif found.run is not None and self._config.wait:
            view = inline.complete(self._database, found.run)
            logger.info(
                "Tokenized on a tag.", dataset=change.dataset, run=view.id, state=view.state.value
            )

    def close(self) -> None:
        """Nothing is held between events."""


def _open() -> Database:
    composition.install()
    log.configure(get_settings().log_level)
    database = get_database()
    startup.require(database)
    startup.prepare(database, secret_store.get_vault())
    return database


def _change(event: EventEnvelope) -> TagChange | None:
    body = event.event
    if event.event_type == "EntityChangeEvent_v1":
        return events.from_entity_change(
            entity_urn=body.entityUrn,
            category=body.category,
            operation=body.operation,
            modifier=body.modifier or "",
            parameters=body.safe_parameters or {},
        )
    if event.event_type == "MetadataChangeLogEvent_v1" and body.entityUrn and body.aspectName:
        return events.from_change_log(
            entity_urn=body.entityUrn,
            aspect_name=body.aspectName,
            before=body.previousAspectValue.value if body.previousAspectValue else None,
            after=body.aspect.value if body.aspect else None,
        )
    return None
