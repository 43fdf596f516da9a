"""What a role may do: one table for all roles, and one for a single one."""

from typing import Any

import streamlit as st

from backend.core import role_words
from backend.core.access import Role
from backend.core.role_words import Ability
from pages.shared import tables

_YES, _NO = "✓ yes", ""


def draw_all(*, key: str) -> None:
    """A row per permission, a column per role."""

    def row(each: Ability) -> dict[str, Any]:
        may = {role.value.capitalize(): _YES if role in each.roles else _NO for role in Role}
        return {"Area": each.area, "What": each.words, **may}

    tables.show(
        role_words.abilities(),
        row,
        title="What",
        key=key,
        alt="What each role may do",
        file="roles",
        config={"What": st.column_config.TextColumn("What", width="large")},
        height="content",
    )


def draw_one(role: Role, *, key: str) -> None:
    """What this role may do; what it may not is left out."""
    tables.show(
        [each for each in role_words.abilities() if role in each.roles],
        lambda each: {"Area": each.area, "What": each.words},
        key=key,
        alt=f"What the role {role.value} may do",
        height="content",
    )
