"""What the first visitor's page needs, loaded before the portal says that it is ready.

Importing this module is all there is to do: otherwise the first visitor waits for these imports,
a quarter of a second and more.
"""

import streamlit.emojis
import streamlit.material_icon_names
import streamlit_authenticator

from auth import sign_in

LOADED = (sign_in, streamlit.emojis, streamlit.material_icon_names, streamlit_authenticator)
