"""The identity providers of `.streamlit/secrets.toml`, read and checked.

The file keeps the shape that Streamlit gave `[auth]`: one provider in the section itself, or one
per `[auth.NAME]`. What the portal adds stands in the provider's own section; docs/accounts.md.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails

from backend.core.access import Role
from backend.core.errors import NotFound
from backend.integrations.oidc.client import Registration

FILE = Path(".streamlit") / "secrets.toml"
_FOR_ALL = ("redirect_uri", "cookie_secret")
UNKNOWN = "There is no such identity provider here. Sign in again."
#: What [portal] may say while there is one provider.
_FOR_ONE = ("roles", "groups_claim", "trust_email")
#: What `st.login` reads and the portal does not; of client_kwargs it reads these.
_OF_STREAMLIT = ("cookie_secret", "client_kwargs", "expose_tokens")
_KWARGS = ("scope", "prompt")
_WORDS = {
    "missing": "it is missing.",
    "string_too_short": "it is empty.",
    "greater_than_equal": "it must be 0 or more.",
    "int_type": "it must be a whole number.",
    "bool_type": "it must be true or false.",
    "string_type": 'it must be a text, as "…".',
    "tuple_type": 'it must be a list, as ["…", "…"].',
    "dict_type": 'it must be a table of roles, as viewer = ["group:everyone"].',
}
_SHAPES = {
    "server_metadata_url": "it must be the http(s) address of the provider's discovery document",
    "redirect_uri": "it must be the portal's own address and end in /oauth2callback",
}


class Provider(BaseModel):
    """One provider. Names are those of the file; "" is the name of the only, unnamed one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = SecretStr("")
    server_metadata_url: str = Field(pattern=r"^https?://[^\s/]+")
    redirect_uri: str = Field(pattern=r"^https?://[^\s/]+/oauth2callback$")
    scope: str = "openid profile email"
    label: str = ""
    icon: str = ":material/login:"
    auto_login: bool = False
    prompt: str = ""
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
    step_up_acr_values: tuple[str, ...] = ()
    step_up_required_amr: tuple[str, ...] = ()
    auth_time_required: bool = True

    @field_validator("role_attribute_path")
    @classmethod
    def _path_compiles(cls, value: str) -> str:
        try:
            if value:
                jmespath.compile(value)
        except JMESPathError as exc:
            raise ValueError(f"is no JMESPath: {exc}") from exc
        except RecursionError as exc:
            raise ValueError("is nested too deeply") from exc
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
        raise NotFound(UNKNOWN)


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
    auth, portal = document.get("auth", {}), document.get("portal", {})
    if not isinstance(auth, Mapping) or not isinstance(portal, Mapping):
        return Configuration(problems=(f"[auth] and [portal] are tables. Correct {FILE}.",))
    problems = [
        f"[portal] {key}: {_unknown(key, _FOR_ONE)}" for key in portal if key not in _FOR_ONE
    ]
    named = {key: value for key, value in auth.items() if _is_provider(key, value)}
    own = {key: value for key, value in auth.items() if key not in named}
    shared = {key: auth[key] for key in _FOR_ALL if key in auth}
    found = {"": own} if own.keys() - set(_FOR_ALL) else {}
    found |= {name: {**shared, **value} for name, value in named.items()}
    if not found and (auth or portal):
        problems.append("[auth] names no client_id. Add one.")
    if len(found) > 1 and portal:
        problems.append(
            "[portal] serves one provider only: a group of one is not that of another. "
            "Move what it says to the section [auth.NAME] of each."
        )
    elif len(found) == 1:
        old = {key: value for key, value in portal.items() if key in _FOR_ONE}
        found = {name: {**old, **section} for name, section in found.items()}
    providers = [_one(name, section, problems) for name, section in found.items()]
    return Configuration(
        tuple(provider for provider in providers if provider is not None),
        tuple(problems),
    )


def _one(name: str, section: Mapping[str, Any], problems: list[str]) -> Provider | None:
    where = f"[auth.{name}]" if name else "[auth]"
    kwargs = section.get("client_kwargs", {})
    own = {key: value for key, value in section.items() if key not in _OF_STREAMLIT}
    if isinstance(kwargs, Mapping):
        own = {**{key: kwargs[key] for key in _KWARGS if key in kwargs}, **own}
        ignored = sorted(kwargs.keys() - {*_KWARGS, "code_challenge_method"})
        problems += [f"{where} client_kwargs.{key} is not read. Take it away." for key in ignored]
    try:
        provider = Provider.model_validate({**own, "name": name})
    except ValidationError as exc:
        for error in exc.errors(include_input=False, include_url=False):
            problems.append(f"{where} {_sentence(error)} Correct it in {FILE}.")
        return None
    if not provider.roles and not provider.role_attribute_path:
        problems.append(f"{where} maps nobody to a role, so everybody is refused. Add roles.")
    if "openid" not in provider.scope.split():
        problems.append(f"{where} scope: openid is missing. Add it.")
    return provider


def _sentence(error: ErrorDetails) -> str:
    """What is wrong with a key, in words: "KEY: …"."""
    key, *rest = (str(part) for part in error["loc"])
    where = ".".join([key, *(part for part in rest if part != "[key]")])
    if error["type"] == "extra_forbidden":
        return f"{key}: {_unknown(key, Provider.model_fields)}"
    if error["type"] == "enum":
        return f"{where}: there is no such role; there are {', '.join(Role)}."
    if error["type"] in _WORDS:
        return f"{where}: {_WORDS[error['type']]}"
    return f"{where}: {_SHAPES.get(key, error['msg'].removeprefix('Value error, '))}."


def _unknown(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"is no setting{f'; {close[0]} is' if close else ''}."


def _is_provider(key: str, value: object) -> bool:
    """A table is a provider's, but for the tables that an unnamed provider has itself."""
    tables = ("roles", "client_kwargs")
    return isinstance(value, Mapping) and ("client_id" in value or key not in tables)
