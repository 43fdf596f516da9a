"""What the first visitor's page needs, loaded before the portal says that it is ready.

Importing this module is all there is to do: otherwise the first visitor waits for these imports,
a quarter of a second and more.
"""

import importlib
import logging

_MODULES = (
    "streamlit.emojis",
    "streamlit.material_icon_names",
    "streamlit_authenticator",
    "auth.sign_in",
)

# Outside a page's run these imports warn that there is no page; nobody at the console needs that.
logging.disable(logging.WARNING)
try:
    LOADED = tuple(importlib.import_module(name) for name in _MODULES)
finally:
    logging.disable(logging.NOTSET)
