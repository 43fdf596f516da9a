"""The JSON shapes that the command line and REST share (DESIGN 5.3 and 5.4)."""

from collections.abc import Sequence
from typing import Any

from backend.core.clock import iso
from backend.mounts.schemas import (
    MountPage,
    MountView,
    OperationPage,
    OperationView,
    OrphanPage,
    OrphanView,
)


def mount(view: MountView) -> dict[str, Any]:
    return {
        "id": view.id,
        "key": view.key,
        "backup_target_id": view.backup_target_id,
        "jobid": view.jobid,
        "host": view.host,
        "mounted": view.mounted,
        "deleted": view.deleted,
        "created_at": iso(view.created_at),
        "updated_at": iso(view.updated_at),
        "deleted_at": iso(view.deleted_at),
        "version": view.version,
        "problem": view.problem,
    }


def mount_page(page: MountPage) -> dict[str, Any]:
    """complete false: the filters are rare; next_cursor goes on looking."""
    return {
        "items": [mount(item) for item in page.items],
        "next_cursor": page.next_cursor,
        "sort": page.sort,
        "complete": page.complete,
    }


def status(found: Sequence[MountView]) -> dict[str, Any]:
    """A job's entries for a target; the first one's fields on top as well."""
    return {**mount(found[0]), "items": [mount(item) for item in found], "next_cursor": None}


def orphan(view: OrphanView) -> dict[str, Any]:
    return {
        **mount(view.mount),
        "reasons": [{"kind": kind, "evidence": said} for kind, said in view.reasons.items()],
    }


def orphan_page(page: OrphanPage) -> dict[str, Any]:
    return {
        "items": [orphan(item) for item in page.items],
        "next_cursor": page.next_cursor,
        "found_at": iso(page.found_at),
        "complete": page.complete,
        "counts": page.counts,
        "problem": page.problem,
        "failing_since": iso(page.failing_since),
    }


def operation_page(page: OperationPage) -> dict[str, Any]:
    return {
        "items": [operation(item) for item in page.items],
        "next_cursor": page.next_cursor,
    }


def operation(view: OperationView) -> dict[str, Any]:
    return {
        "operation_id": view.operation_id,
        "action": view.action,
        "backup_target_id": view.backup_target_id,
        "jobid": view.jobid,
        "host": view.host,
        "state": view.state,
        "actor": view.actor,
        "note": view.note,
        "request": view.request,
        "reply": view.reply,
        "replies": view.replies,
        "settled_by": view.settled_by,
        "created_at": iso(view.created_at),
        "reply_at": iso(view.reply_at),
        "finished_at": iso(view.finished_at),
    }
