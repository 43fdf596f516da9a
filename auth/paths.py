"""Addresses of the sign-in routes. Streamlit's own are /auth/login, /auth/logout."""

SIGN_IN_PATH = "/auth/sign-in"
SIGN_OUT_PATH = "/auth/sign-out"
#: The browser posts here to go to an identity provider.
PROVIDER_PATH = "/auth/provider"
#: Where the provider sends it back: as in Streamlit's [auth], so that registrations stay.
CALLBACK_PATH = "/oauth2callback"
#: Where the provider itself posts that somebody signed out there.
PROVIDER_LOGOUT_PATH = "/auth/provider-logout/{name}"
