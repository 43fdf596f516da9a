"""DataHub through its official SDK: `client.DataHubClient`, shapes in `schemas`, URNs in `urns`.

Nothing here imports the SDK until a client sends its first request (2 s, once a process).

Every method has a deadline of `timeout` seconds for the whole of one request, retries included
(only reads are retried, once) and raises the errors of `backend.core.errors` only:
UpstreamError, UpstreamUnavailable, UpstreamTimeout, OutcomeUnknown (a write without an answer),
NotFound, each with .system "DataHub", .cause, .advice. No message ever contains the token.

Writes are patches, never whole aspects: read first, write only what differs, read back and compare.
Tags are full URNs ("urn:li:tag:tokenize/run") everywhere.
"""
