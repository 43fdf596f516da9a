"""The tokenization key: present and 32 bytes; nothing outside is asked."""

from backend.connections import fields
from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:  # noqa: ARG001 - one shape
    scheme = config.settings["scheme"]
    if scheme == "base64":
        return Finding(
            server_version=scheme,
            warnings=("Scheme base64 is reversible by anybody; hmac-sha256 is not.",),
        )
    if "key" not in config.secrets:
        return Finding(
            server_version=scheme, warnings=("No key is set; one is made at first use.",)
        )
    try:
        fields.key_of_32_bytes(config.secrets["key"])
    except ValueError as exc:
        return Finding(False, scheme, f"the key {exc}", "Set it again: base64 of 32 random bytes.")
    return Finding(server_version=scheme)
