"""OpenMetadata over its REST interface: one gateway, one error language, one stand-in server.

    from backend.integrations.openmetadata.gateway import OpenMetadataGateway
    from backend.sandbox.openmetadata import StandIn

The vendor's client costs 8 s and 280 MB at import; the portal speaks four endpoints itself (httpx).

The gateway
-----------
OpenMetadataGateway(host_port, token, *, timeout=30.0, max_connections=16)
    host_port ends in "/api" (InvalidInput otherwise, with what to write). Thread-safe; a context
    manager; .close(). Every request has a deadline of `timeout` seconds; reads are retried on
    connection failures, 429 and 5xx with back-off; writes are sent once.

Reads
    probe() -> Probe                         version and who-am-I; JWT expiry decoded locally
    version() -> ServerVersion               ("2.0.6", (2, 0, 6)); needs no token
    users(page_size=1000) -> Iterator[UserPage]     pages by cursor, fields=domains
    domains() -> list[Domain]
    user(user_id, fields="domains") -> StoredUser   NotFound when unknown or deleted
    raw_user(user_id, fields) -> dict               the whole JSON object
    user_url(name) -> str                    the user's page in OpenMetadata's UI

Writes
    enforces_if_match(user_id) -> bool       probed without a change, kept for the gateway's life
    patch_user(user_id, operations, *, if_match: float | None) -> StoredUser

Shapes (`schemas`, frozen dataclasses or structs)
    Probe(version, principal, email, is_bot, is_admin, token_expires_at, warnings: tuple[str, …])
    ServerVersion(text, parts)
    UserPage(users: list[StoredUser], total)
    StoredUser(id, name, email, display_name, version, updated_at, updated_by, is_bot, deleted,
               domains: tuple[DomainRef, …], inherited: tuple[DomainRef, …])
    DomainRef(id, name, fqn)      Domain(id, name, fqn, display_name)

Errors (`errors`, all under backend.core.errors, .system "OpenMetadata", .cause, .advice)
    TokenRefused 502 (missing, invalid, expired with the time read from the token)
    Denied 502 (.operation, .policy, .rule)   NotThere (NotFound)   Moved (Conflict; HTTP 412)
    Throttled 502 (.retry_after)   WrongAddress 502 (HTML instead of JSON)
    UpstreamError, UpstreamUnavailable, UpstreamTimeout, OutcomeUnknown (a write without an answer)

The stand-in
------------
StandIn(port=0, *, state_file=None, seed=None, version="2.0.6", if_match="auto", latency=0.0)
    with StandIn(seed=seeding.seed_demo) as server: server.url          # "http://127.0.0.1:PORT/api"
    server.token("admin", expires_in=3600) -> str    a signed JWT of that user or bot
    server.store            users, domains, teams: .edit_user(name, by="carla", display_name="…")
    server.faults.add(method="PATCH", path=r"/users/.*", status=412, times=3, …)
    seed is a function of the store, run when the state file holds nothing yet.
    `python -m backend.sandbox.openmetadata --users 100000` serves in its own process
    and prints one JSON line {"url": …, "token": …}.
"""
