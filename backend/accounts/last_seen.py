"""Small "last seen" writes that a read asks for."""

from collections.abc import Callable

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.core.database import ReadSession, after_close
from backend.core.log import get_logger

log = get_logger(__name__)


def in_short_write(session: ReadSession, update: Callable[[Session], None]) -> None:
    """Run `update` in a short write of its own once the caller's read has ended.

    Inside a unit of work that writes already, it joins that one: a second writer would wait for
    the first for ever. A busy or failing database only makes the time stamp late.
    """
    engine = session.get_bind()
    if not isinstance(engine, Engine) or engine.get_execution_options().get("portal_write"):
        update(session)
        return

    def write() -> None:
        try:
            with Session(engine.execution_options(portal_write=True)) as short:
                update(short)
                short.commit()
        except SQLAlchemyError as exc:
            log.warning("A last-seen time could not be written.", error=str(exc))

    after_close(session, write)
