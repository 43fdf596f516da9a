"""Addresses of the sign-in routes. Streamlit's own are /auth/login, /auth/logout."""

SIGN_IN_PATH = "/auth/sign-in"
SIGN_OUT_PATH = "/auth/sign-out"
