"""Small "last seen" writes from inside a read."""

from collections.abc import Callable

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.core.database import ReadSession
from backend.core.log import get_logger

log = get_logger(__name__)


def in_short_write(session: ReadSession, update: Callable[[Session], None]) -> None:
    """Run `update` in a short write of its own beside the caller's read.

    Inside a unit of work that writes already, it joins that one: a second writer would wait for
    the first for ever. A busy or failing database only makes the time stamp late.
    """
    engine = session.get_bind()
    if not isinstance(engine, Engine) or engine.get_execution_options().get("portal_write"):
        update(session)
        return
    try:
        with Session(engine.execution_options(portal_write=True)) as short:
            update(short)
            short.commit()
    except SQLAlchemyError as exc:
        log.warning("A last-seen time could not be written.", error=str(exc))
