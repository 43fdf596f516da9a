"""A JSON document, signed as the Standard Webhooks specification says, to an address."""
