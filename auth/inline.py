"""Inline scripts of the portal's own pages besides those of the sign-in.

They are constant, as those of `auth.ticket_form` are, because the Content-Security-Policy lists
their hashes; what they need is on the page.
"""

from typing import Literal

import streamlit as st

#: Gives the focus to what the newest mark stands for, and scrolls it into view as little as
#: possible, once it has its size. Nothing behind an open dialog gets it, and nobody who types
#: loses it to a page's title. Where a slow browser drops it (a dialog that opens takes the focus
#: for itself, a form that goes leaves it to the document), it is given again.
#: No "<" before a letter or digit: Streamlit's sanitizer drops such a script.
FOCUS_SCRIPT = (
    "(()=>{const all=[...document.querySelectorAll('span.portal-focus:not([data-done])')];"
    "const m=all.pop();if(!m)return;for(const o of [...all,m])o.dataset.done='1';let n=0;"
    "const go=()=>{if(20>n++&&m.isConnected)setTimeout(go,150);"
    "const b=m.closest('[data-testid=stVerticalBlock]'),d=document.querySelector('[role=dialog]'),"
    "t=m.dataset.to==='title'?document.querySelector('h1'):"
    "m.dataset.to==='field'?b&&b.querySelector('input'):b,a=document.activeElement;"
    "if(!t||d&&!d.contains(t)||m.dataset.to==='title'&&a&&a.matches('input,textarea'))return;"
    "if(m.dataset.given&&!a.contains(t))return;if(a===t)return;m.dataset.given='1';"
    "if(!t.matches('input'))t.tabIndex=-1;t.focus({preventScroll:true});"
    "if(m.dataset.to!=='title')t.scrollIntoView({block:'nearest'})};setTimeout(go,300)})()"
)
SCRIPTS = (FOCUS_SCRIPT,)


def focus(to: Literal["title", "field", "container"], of: object) -> None:
    """Give the focus to the page's title, or to the container that this is drawn in or its first
    field; there draw it last.

    of: what it is about; the browser acts once for each, and again when it is another one.
    """
    mark = f'<span class="portal-focus" data-to="{to}" data-of="{hash(of)}"></span>'
    st.html(f"{mark}<script>{FOCUS_SCRIPT}</script>", unsafe_allow_javascript=True)
