"""Inline scripts of the portal's own pages besides those of the sign-in.

They are constant, as those of `auth.handover` are, because the Content-Security-Policy lists their
hashes; what they need is on the page.
"""

import streamlit as st

#: Scrolls the box around the newest mark into view, as little as possible, once it has its size.
SHOW_SCRIPT = (
    "(()=>{const m=[...document.querySelectorAll('span.portal-show')].pop();"
    "if(!m||m.dataset.done)return;m.dataset.done='1';setTimeout(()=>{"
    "const b=m.closest('[data-testid=stVerticalBlock]');"
    "if(b)b.scrollIntoView({block:'nearest'})},300)})()"
)
SCRIPTS = (SHOW_SCRIPT,)


def show_container() -> None:
    """Bring the container that this is drawn in into view; draw it as the container's last."""
    st.html(
        f'<span class="portal-show"></span><script>{SHOW_SCRIPT}</script>',
        unsafe_allow_javascript=True,
    )
