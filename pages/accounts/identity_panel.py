"""Name, identities and end of one account: what an admin seldom does with it."""

import streamlit as st

from backend.accounts import lifecycle
from backend.accounts.schemas import AccountView
from pages.accounts import token_list
from pages.shared import confirm, filters, folds, reason, times
from pages.shell import calls, flash
from pages.shell.errors import escape

_INTO = "accounts.merge.chosen"


def show(view: AccountView, *, own_id: int) -> None:
    """Closed at first; `view` is the chosen account as it was drawn."""
    with folds.fold(
        "Name, identities, merge, delete",
        key="accounts.identity.form",
        icon=":material/manage_accounts:",
    ):
        _rename(view)
        _identities(view)
        _end(view, own_id)


def _rename(view: AccountView) -> None:
    key = f"accounts.rename.{view.id}.{view.version}"
    name, send = st.columns([3, 1], vertical_alignment="bottom")
    name.text_input("Name", value=view.name, max_chars=150, key=key)
    send.button(
        "Rename",
        key="accounts.rename",
        on_click=_send_rename,
        args=(view, key),
        help="The name then no longer follows the identity provider." if view.external else None,
        width="stretch",
    )


def _send_rename(view: AccountView, key: str) -> None:
    name = st.session_state[key]
    with flash.deferring():
        done = calls.write(lifecycle.rename, account_id=view.id, name=name, version=view.version)
    if done:
        flash.success(f"{escape(view.name)} is named {escape(done.name)} now.")


def _identities(view: AccountView) -> None:
    known = calls.read(lifecycle.list_identities, account_id=view.id)
    if not known:
        st.caption("No identity of a provider opens this account.")
    for one in known:
        what, end = st.columns([3, 1], vertical_alignment="center")
        what.markdown(f"{escape(one.issuer or 'An identity')}, since {times.exact(one.created_at)}")
        end.button(
            "Unlink",
            key=f"accounts.unlink.{one.id}",
            on_click=_unlink,
            args=(view, one.id),
            help="It no longer opens this account, and live sessions end.",
            width="stretch",
        )
    version = f"{view.id}.{view.version}"
    issuer, subject, send = st.columns([2, 1, 1], vertical_alignment="bottom")
    issuer.text_input("Issuer", placeholder="https://idp.example.org", key=f"link.issuer.{version}")
    subject.text_input("Subject (claim sub)", key=f"link.subject.{version}")
    reason.field(f"link.{version}")
    send.button("Link", key="accounts.link", on_click=_link, args=(view, version), width="stretch")


def _link(view: AccountView, version: str) -> None:
    with flash.deferring(), reason.given(f"link.{version}"):
        done = calls.write(
            lifecycle.link,
            account_id=view.id,
            issuer=st.session_state[f"link.issuer.{version}"],
            subject=st.session_state[f"link.subject.{version}"],
            version=view.version,
        )
    if done:
        flash.success(f"{escape(view.name)} is linked. The next sign-in there opens this account.")


def _unlink(view: AccountView, identity_id: int) -> None:
    with flash.deferring():
        done = calls.write(
            lifecycle.unlink, account_id=view.id, identity_id=identity_id, version=view.version
        )
    if done:
        flash.success(f"The identity is taken from {escape(view.name)}.")


def _end(view: AccountView, own_id: int) -> None:
    own = view.id == own_id
    into, merge, delete = st.columns([2, 1, 1], vertical_alignment="bottom")
    into.text_input(
        "Merge into",
        key="accounts.merge.into",
        placeholder="name of the account that goes on",
        disabled=own,
    )
    for column, label, verb in ((merge, "Merge …", "merge"), (delete, "Delete …", "delete")):
        column.button(
            label,
            key=f"accounts.{verb}",
            disabled=own,
            help="Another admin can do this to your own account." if own else None,
            on_click=_ask,
            args=(verb,),
            width="stretch",
        )


def _ask(verb: str) -> None:
    # The drawer's fields are forgotten while the question stands in its place.
    st.session_state[_INTO] = str(st.session_state.get("accounts.merge.into", "")).strip()
    confirm.open_dialog(f"accounts.{verb}.dialog")


def dialogs(view: AccountView) -> None:
    """The questions before an account ends."""
    confirm.ask(
        "accounts.delete.dialog",
        title=f"Delete {escape(view.name)}?",
        body=lambda: _what_ends(view),
        action="Delete",
        typed=view.name,
        on_confirm=lambda: _delete(view),
    )
    target = st.session_state.get(_INTO, "")
    confirm.ask(
        "accounts.merge.dialog",
        title=f"Merge {escape(view.name)} into {escape(target or '…')}?",
        body=f"The identities of {view.name} open {target or 'the other account'} from now on, "
        f"whose name, role and password stay. {view.name} is deleted.",
        action="Merge",
        on_confirm=lambda: _merge(view, target),
        may_wait=True,
    )


def _what_ends(view: AccountView) -> None:
    st.markdown(
        f"Nobody can sign in as {escape(view.name)} any more, live sessions end, and the name is "
        "free. The audit log keeps what was done under it. A person to whom an identity provider "
        "still gives a role gets a new account at the next sign-in."
    )
    token_list.offer_to_revoke(view.id)


def _delete(view: AccountView) -> None:
    done = calls.write(
        lifecycle.delete,
        account_id=view.id,
        version=view.version,
        revoke_tokens=token_list.shall_revoke(),
    )
    if done:
        filters.put("account", None)
        flash.success(f"The account {escape(view.name)} is deleted.")


def _merge(view: AccountView, into: str) -> None:
    done = calls.write(lifecycle.merge, account_id=view.id, into=into, version=view.version)
    if done:
        filters.put("account", done.id)
        flash.success(f"{escape(view.name)} went into {escape(done.name)}.")
