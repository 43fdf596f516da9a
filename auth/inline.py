"""Inline scripts of the portal's own pages besides those of the sign-in.

They are constant, as those of `auth.ticket_form` are, because the Content-Security-Policy lists
their hashes; what they need is on the page.
"""

from typing import Literal

import streamlit as st

#: Gives the focus to what the newest mark stands for, and scrolls it into view as little as
#: possible, once it has its size: not a line, for it says what the page shows anyway, and who is
#: about to press something must not find it elsewhere. Nothing behind an open dialog gets it, and
#: nobody who types loses it: a password must not end in the field of the name. Where a slow browser
#: drops it (a dialog that opens takes the focus for itself, a form that goes leaves it to the
#: document), it is given again.
#: No "<" before a letter or digit: Streamlit's sanitizer drops such a script.
FOCUS_SCRIPT = (
    "(()=>{const all=[...document.querySelectorAll('span.portal-focus:not([data-done])')];"
    "const m=all.pop();if(!m)return;for(const o of [...all,m])o.dataset.done='1';let n=0;"
    "const go=()=>{"
    "const to=m.dataset.to,d=document.querySelector('[role=dialog]'),"
    "b=m.closest(to==='line'?'.stHorizontalBlock':'.stVerticalBlock'),"
    "t=to==='title'?document.querySelector('h1'):"
    "to==='field'?b&&b.querySelector('input'):b,a=document.activeElement,"
    "typing=a&&a!==t&&a.matches('input:not([type=checkbox]):not([type=radio]),textarea')&&"
    "(to!=='field'||b&&b.contains(a));"
    "if(typing&&to==='field')return;if(20>n++&&m.isConnected)setTimeout(go,150);"
    "if(!t||typing||d&&!d.contains(t)||to==='title'&&a&&a.matches('input'))return;"
    "if(m.dataset.given&&!a.contains(t))return;m.dataset.given='1';if(a===t)return;"
    "if(!t.matches('input'))t.tabIndex=-1;t.focus({preventScroll:true});"
    "if(to!=='title'&&to!=='line')t.scrollIntoView({block:'nearest'})};setTimeout(go,300)})()"
)
#: Where pages are laid out for a phone.
NARROW = "(max-width: 640px)"
NARROW_COOKIE = "portal_narrow"
#: In the head of the index page: tells the page's script, whose websocket comes later, whether the
#: window is that narrow.
WIDTH_SCRIPT = (
    f"(()=>{{const q=matchMedia('{NARROW}'),say=()=>{{document.cookie='{NARROW_COOKIE}='+"
    "(q.matches?1:0)+';path=/;samesite=strict'+(location.protocol==='https:'?';secure':'')};"
    "say();q.onchange=say})()"
)
#: There, too: what holds a first load together (`auth.first_frame`) goes when its time is over.
FIRST_FRAME_SCRIPT = (
    "addEventListener('animationend',e=>{if(e.animationName==='first-frame'){"
    "const s=document.getElementById('first-frame');if(s)s.remove()}})"
)
#: There, too: a menu that lies over the page goes after a choice, which Streamlit knows of phones
#: only and not of a computer's narrow window.
MENU_SCRIPT = (
    "addEventListener('click',e=>{if(matchMedia('(max-width: 768px)').matches&&"
    "e.target.closest('.stSidebar nav a'))setTimeout(()=>{const b=document.querySelector("
    "'.stSidebar [aria-controls=stSidebar][aria-expanded=true]');if(b)b.click()})})"
)
IN_HEAD = (WIDTH_SCRIPT, FIRST_FRAME_SCRIPT, MENU_SCRIPT)
SCRIPTS = (FOCUS_SCRIPT, *IN_HEAD)


def focus(to: Literal["title", "field", "container", "line"], of: object) -> None:
    """Give the focus to the page's title, or to the container that this is drawn in (a line is a
    horizontal one) or its first field; there draw it last.

    of: what it is about; the browser acts once for each, and again when it is another one.
    """
    mark = f'<span class="portal-focus" data-to="{to}" data-of="{hash(of)}"></span>'
    script = f"{mark}<script>{FOCUS_SCRIPT}</script>"
    st.html(script, width="content", unsafe_allow_javascript=True)
