"""OpenID Connect providers, spoken to with Authlib's Starlette client."""
