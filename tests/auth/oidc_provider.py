"""A small OpenID Connect provider: signs in whoever `person` says, without asking."""

import base64
import secrets
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

CLIENT_ID, CLIENT_SECRET = "portal", "secret-of-the-portal"


class Provider:
    """`with Provider() as provider:` serves at provider.url; provider.person holds the claims.

    tls: (certificate, key) of files, to speak https.
    """

    def __init__(self, tls: tuple[Path, Path] | None = None) -> None:
        self._tls = tls
        self.person: dict[str, Any] = {}
        self.url = ""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._kid = "1"
        self.reset()
        self._codes: dict[str, str] = {}
        self._app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
                Route("/userinfo", self._userinfo),
                Route("/end", self._end),
                Route("/v1.0/me/getMemberObjects", self._groups, methods=["POST"]),
                Route("/v1.0/more", self._groups),
            ]
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._serve,
                port=0,
                log_level="error",
                interface="asgi3",
                lifespan="off",
                ssl_certfile=tls[0] if tls else None,
                ssl_keyfile=tls[1] if tls else None,
            )
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def reset(self) -> None:
        """Answer as a provider in good health."""
        #: An error code that /authorize answers with, or that /token does.
        self.refuses, self.token_error = "", ""
        #: Claims over the usual ones of the next id token; what userinfo says beside.
        self.forged: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        #: What the token endpoint and userinfo answer instead; what stands in the documents beside.
        self.token_status, self.userinfo_status, self.refreshes = 200, 200, True
        self.expires_in = 300
        self.document: dict[str, Any] = {}
        self.keys: list[dict[str, Any]] | None = None
        #: What Microsoft Graph answers about groups, page by page; what it was asked.
        self.graph: list[tuple[int, dict[str, Any]]] = []
        self.graph_asked: list[tuple[str, str, bytes]] = []
        #: How often each path was asked; what answers there instead.
        self.asked: Counter[str] = Counter()
        self.instead: dict[str, ASGIApp] = {}

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        self.asked[path] += 1
        await self.instead.get(path, self._app)(scope, receive, send)

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is not among the keys any more."""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._kid = str(int(self._kid) + 1)

    def __enter__(self) -> "Provider":
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started:
            assert time.monotonic() < deadline, "the provider did not start"
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{port}"
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(60)

    async def _configuration(self, _request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "end_session_endpoint": f"{self.url}/end",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                **self.document,
            }
        )

    async def _authorize(self, request: Request) -> RedirectResponse:
        code = secrets.token_urlsafe(16)
        self._codes[code] = request.query_params.get("nonce", "")
        said = {"error": self.refuses} if self.refuses else {"code": code}
        answer = urlencode({**said, "state": request.query_params["state"]})
        return RedirectResponse(f"{request.query_params['redirect_uri']}?{answer}", 302)

    async def _token(self, request: Request) -> JSONResponse:
        form = await request.form()
        if self.token_status != 200:
            return JSONResponse({}, self.token_status)
        if self.token_error:
            return JSONResponse({"error": self.token_error}, 400)
        if not self._is_client(request):
            return JSONResponse({"error": "invalid_client"}, 401)
        code, renewed = str(form.get("code")), form.get("grant_type") == "refresh_token"
        if not renewed and code not in self._codes:
            return JSONResponse({"error": "invalid_grant"}, 400)
        nonce = self._codes.pop(code, "")
        refresh = {"refresh_token": "y"} if self.refreshes else {}
        return JSONResponse(
            {
                "access_token": "x",
                "token_type": "Bearer",
                "expires_in": self.expires_in,
                "id_token": self.signed({"nonce": nonce, **self.person, **self.forged}),
                **refresh,
            }
        )

    def _is_client(self, request: Request) -> bool:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        given = base64.b64decode(value).decode() if kind == "Basic" else ""
        return given == f"{CLIENT_ID}:{CLIENT_SECRET}"

    def signed(self, claims: dict[str, Any]) -> str:
        """A token of this provider's for the portal."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        return jwt.encode(
            {**usual, **claims}, self._key, algorithm="RS256", headers={"kid": self._kid}
        )

    async def _userinfo(self, _request: Request) -> JSONResponse:
        said = {"sub": self.person.get("sub"), **self.userinfo}
        return JSONResponse(said, self.userinfo_status)

    async def _groups(self, request: Request) -> JSONResponse:
        """As Microsoft documents directoryObject: getMemberObjects."""
        authorization = request.headers.get("authorization", "")
        self.graph_asked.append((request.method, authorization, await request.body()))
        status, document = self.graph[len(self.graph_asked) - 1]
        return JSONResponse(document, status)

    async def _end(self, request: Request) -> RedirectResponse:
        return RedirectResponse(request.query_params["post_logout_redirect_uri"], 302)

    async def _jwks(self, _request: Request) -> JSONResponse:
        if self.keys is not None:
            return JSONResponse({"keys": self.keys})
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self._kid}
        return JSONResponse({"keys": [{**key, "n": _number(numbers.n), "e": _number(numbers.e)}]})


def _number(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
