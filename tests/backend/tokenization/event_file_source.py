"""An event source for `datahub actions` that replays events from a file, then ends."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datahub_actions.event.event_envelope import EventEnvelope
from datahub_actions.pipeline.pipeline_context import PipelineContext
from datahub_actions.source.event_source import EventSource


class EventFileSource(EventSource):
    """config: {"path": a JSON list of envelopes}."""

    @classmethod
    def create(cls, config_dict: dict[str, Any], ctx: PipelineContext) -> "EventFileSource":
        return cls(Path(config_dict["path"]))

    def __init__(self, path: Path) -> None:
        self._path = path

    def events(self) -> Iterable[EventEnvelope]:
        for each in json.loads(self._path.read_text()):
            yield EventEnvelope.from_json(json.dumps(each))

    def ack(self, event: EventEnvelope, processed: bool = True) -> None:
        """A file has nothing to acknowledge."""

    def close(self) -> None:
        """Nothing is open."""
