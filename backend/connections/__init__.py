"""Environments, their connections, tests, DataHub client info and health.

Other rooms read settings and decrypted secrets through `resolve`, never from the tables:

    from backend.connections import resolve
    cfg = resolve.connection(session, environment=None, kind="openmetadata")
    cfg.settings["host_port"]; cfg.secrets["jwt_token"]; cfg.environment.is_production

`kinds.KINDS` is the one table of the ten kinds, their settings and secrets; page, CLI, REST and
docs all read it. Every setting is text, defaults are filled in, absent optional ones are "".
"""
