"""The identity providers of `.streamlit/secrets.toml`, read and checked.

The file keeps the shape that Streamlit gave `[auth]`: one provider in the section itself, or one
per `[auth.NAME]`. What the portal adds stands in the provider's own section; docs/accounts.md.
"""

import asyncio
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from backend.accounts import emergency
from backend.core.access import Role
from backend.core.errors import NotFound, PortalError
from backend.integrations.oidc import client
from backend.integrations.oidc.client import Registration

FILE = Path(".streamlit") / "secrets.toml"
_NEEDED = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
_FOR_ALL = ("redirect_uri", "cookie_secret")


class Provider(BaseModel):
    """One provider. Names are those of the file; "" is the name of the only, unnamed one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = SecretStr("")
    server_metadata_url: str = Field(pattern=r"^https?://[^\s/]+")
    redirect_uri: str = Field(pattern=r"^https?://[^\s/]+/oauth2callback$")
    scope: str = "openid profile email"
    label: str = ""
    icon: str = ":material/login:"
    auto_login: bool = False
    name_claims: tuple[str, ...] = ("preferred_username", "name", "email")
    trust_email: bool = False
    groups_claim: str = "groups"
    role_attribute_path: str = ""
    roles: dict[Role, tuple[str, ...]] = {}
    skip_role_sync: bool = False
    allowed_domains: tuple[str, ...] = ()
    allowed_groups: tuple[str, ...] = ()
    acr_values: tuple[str, ...] = ()
    required_amr: tuple[str, ...] = ()
    max_age: int | None = Field(default=None, ge=0)

    @field_validator("role_attribute_path")
    @classmethod
    def _path_compiles(cls, value: str) -> str:
        try:
            if value:
                jmespath.compile(value)
        except JMESPathError as exc:
            raise ValueError(f"is no JMESPath: {exc}") from exc
        return value

    @property
    def title(self) -> str:
        return self.label or self.name or "single sign-on"

    @property
    def registration(self) -> Registration:
        return Registration(
            self.client_id,
            self.client_secret.get_secret_value(),
            self.server_metadata_url,
            self.scope,
        )


@dataclass(frozen=True)
class Configuration:
    """problems: a sentence for each thing that is wrong; such a provider is not offered."""

    providers: tuple[Provider, ...] = ()
    problems: tuple[str, ...] = ()

    def get(self, name: str) -> Provider:
        """Raises NotFound."""
        for provider in self.providers:
            if provider.name == name:
                return provider
        raise NotFound("There is no such identity provider here. Sign in again.")


def load() -> Configuration:
    """The file of the portal's folder over that of the home folder, as Streamlit reads them."""
    document: dict[str, Any] = {}
    for path in (Path.home() / FILE, FILE):
        try:
            document |= tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as exc:
            return Configuration(problems=(f"{path} cannot be read: {exc}. Correct it.",))
    return parse(document)


def parse(document: Mapping[str, Any]) -> Configuration:
    """The configuration in a parsed file."""
    auth, portal = _section(document, "auth"), _section(document, "portal")
    shared = {key: auth[key] for key in _FOR_ALL if key in auth}
    own = {key: value for key, value in auth.items() if not _is_provider(value)}
    found = {"": own} if "client_id" in own else {}
    found |= {name: {**shared, **value} for name, value in auth.items() if _is_provider(value)}
    problems = [] if found or not auth else ["[auth] names no client_id. Add one."]
    if len(found) > 1 and "roles" in portal:
        problems.append(
            "[portal.roles] serves one provider only: a group of one is not that of another. "
            "Move it to [auth.NAME.roles] of each."
        )
    elif len(found) == 1:
        old = ("roles", "groups_claim", "trust_email")
        found = {n: {**{k: portal[k] for k in old if k in portal}, **v} for n, v in found.items()}
    providers = [_one(name, section, problems) for name, section in found.items()]
    return Configuration(
        tuple(provider for provider in providers if provider is not None),
        tuple(problems),
    )


def _one(name: str, section: Mapping[str, Any], problems: list[str]) -> Provider | None:
    where = f"[auth.{name}]" if name else "[auth]"
    kwargs = section.get("client_kwargs")
    if isinstance(kwargs, Mapping) and "scope" in kwargs:
        section = {"scope": kwargs["scope"], **section}
    try:
        provider = Provider.model_validate({**section, "name": name})
    except ValidationError as exc:
        for error in exc.errors(include_input=False, include_url=False):
            field = ".".join(str(part) for part in error["loc"])
            problems.append(f"{where} {field}: {error['msg']}. Correct it in {FILE}.")
        return None
    if not provider.roles and not provider.role_attribute_path:
        problems.append(f"{where} maps nobody to a role, so everybody is refused. Add roles.")
    if "openid" not in provider.scope.split():
        problems.append(f"{where} scope: openid is missing. Add it.")
    return provider


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name, {})
    return value if isinstance(value, Mapping) else {}


def _is_provider(value: object) -> bool:
    return isinstance(value, Mapping) and "client_id" in value


def check(_settings: object = None) -> tuple[str, ...]:
    """For `doctor`: what is wrong with the file, and providers whose discovery does not answer."""
    configured = load()
    problems = list(configured.problems)
    if emergency.passwords_are_off() and not configured.providers:
        problems.append(
            "PORTAL_LOCAL_PASSWORDS: off, and no identity provider is configured: nobody can sign "
            "in. Configure one, or set it to on."
        )
    for provider in configured.providers:
        try:
            known = asyncio.run(client.metadata(provider.registration))
        except PortalError as exc:
            problems.append(f"Identity provider {provider.title}: {exc.message}")
            continue
        missing = [key for key in _NEEDED if not known.get(key)]
        if missing:
            problems.append(
                f"{provider.server_metadata_url} names no {', '.join(missing)}. "
                "Is it the provider's discovery document?"
            )
    return tuple(problems)
