"""The ledger as the portal reads it: the client's own, whose errors are the portal's."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from backend.core import outside
from backend.dms.ledger import Ledger
from backend.mounts.errors import translated

T = TypeVar("T")


class PortalLedger(Ledger):
    """`backend.dms.ledger.Ledger`; everything raises ClientError."""

    def __init__(self, url: str) -> None:
        with translated():
            super().__init__(url)

    def read(self, work: Callable[[Connection], T]) -> T:
        with outside.call("ledger"), translated():
            return super().read(work)

    def write(self, work: Callable[[Connection], T], *, patience: float = 0.0) -> T:
        with outside.call("ledger"), translated():
            return super().write(work, patience=patience)

    def has_operations(self) -> bool:
        with translated():
            return super().has_operations()

    def ensure_operations(self) -> None:
        with translated():
            super().ensure_operations()
