"""The people directory over GraphQL: one client (gql), one error language, one stand-in server.

    from backend.integrations.directory.client import DirectoryClient
    from backend.sandbox.directory import StandIn

The client
----------
DirectoryClient(endpoint, token="", *, timeout=60.0, max_bytes=256 MiB, max_users=1_000_000)
    .users() -> list[object]      the raw items of `{ users { email displayName domain } }`;
                                  what is wrong inside an item is the planner's to say
    .probe() -> Probe             the same query with a deadline of 10 s and a limit of 8 MiB
    Raises under backend.core.errors (.system "Directory", .cause, .advice):
    PartialAnswer (errors beside data), EmptyAnswer, TooLarge, NotGraphQL (HTML, wrong path),
    TokenRefused (401/403), UpstreamError, UpstreamUnavailable, UpstreamTimeout.

Probe(users_seen: int | None, more: bool, latency_ms: float)     users_seen None: answer too long to
                                                                 read within the probe's limit

The stand-in
------------
StandIn(port=0, *, state_file=None, seed=None, token="", latency=0.0)
    with StandIn(seed=seeding.seed_demo) as server: server.url     # "http://127.0.0.1:PORT/graphql"
    server.users: list[dict] may be changed at any time; server.faults.add(…) as in OpenMetadata's
    `python -m backend.sandbox.directory --users 100000` serves in its own process.
"""
