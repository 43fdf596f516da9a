"""OpenMetadata over its REST interface: `gateway.OpenMetadataGateway`, shapes in `schemas`.

The vendor's client costs 8 s and 280 MB at import; the portal speaks four endpoints itself (httpx).

A gateway is thread-safe. Every request has a deadline of `timeout` seconds; reads are retried on
connection failures, 429 and 5xx with back-off; writes are sent once. Every error is one of `errors`
or of backend.core.errors, with .system "OpenMetadata", .cause, .advice; a write without an answer
raises OutcomeUnknown.
"""
