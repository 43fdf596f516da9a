"""ASGI entry: Streamlit, the REST API and the sign-in routes in one app. Nothing else."""

import auth.stopping  # noqa: I001  # first: a SIGTERM may come while the rest is loaded

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

import auth.heads
import auth.pieces
import auth.preload  # before the first visitor comes
import auth.reruns  # noqa: F401  # for every session from now on
from auth.addresses import Addresses
from auth.first_frame import FirstFrame
from auth.forwarded import Forwarded
from auth.headers import SecurityHeaders
from auth.routes import routes as auth_routes
from auth.strangers import Strangers
from auth.unread import Unread
from backend.api.lazy import LazyApi
from backend.lifespan import lifespan
from pages.shell.errors import on_script_error
from pages.shell.style import STYLE

api = LazyApi()
app = st.App(
    "pages/portal.py",
    lifespan=lifespan,
    routes=[
        *auth_routes,
        Route("/healthz", endpoint=api),
        Route("/readyz", endpoint=api),
        Route("/metrics", endpoint=api),
        Route("/trigger", endpoint=api),
        Route("/mcp", endpoint=api),
        Route("/api", endpoint=api),
        Mount("/api", app=api),
    ],
    middleware=[
        Middleware(Unread),
        Middleware(Forwarded),
        Middleware(SecurityHeaders),
        Middleware(Addresses),
        Middleware(Strangers),
        Middleware(FirstFrame, style=STYLE),
    ],
    on_script_error=on_script_error,
)
