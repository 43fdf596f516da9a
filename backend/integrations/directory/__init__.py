"""The people directory: GraphQL, SCIM 2.0 or an uploaded file, behind one seam.

    from backend.integrations.directory.client import DirectoryClient
    from backend.sandbox.directory import StandIn

The client
----------
DirectoryClient(endpoint, token="", *, options=Options(), timeout=60.0, max_bytes=256 MiB,
                max_users=1_000_000)
DirectoryClient.of(settings, secrets, *, timeout, upload=b"")     from a connection
    .users(read=None) -> list[object]
                                  every person as {"email", "displayName", "domain" or "domains"};
                                  what is wrong inside an item is the planner's to say
    .sample(count) -> list[object]   the first few, of one small page where the source has pages
    .probe() -> Probe             a first page with a deadline of 10 s and a limit of 8 MiB
    Raises under backend.core.errors (.system "Directory", .cause, .advice); see `errors`.

Sources
-------
One folder each: graphql, scim, upload. A source is a class with `pages(most)`, which yields the
mapped people page by page; `client.SOURCES` names them. `mapping` is one JMESPath expression for
all of them: from a page's document to a list of people.
"""
