"""Every setting, read once from the environment; DESIGN 5.2 is the list, the README the table."""

import ipaddress
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from backend.core import settings_files
from backend.core.access import Role
from backend.core.errors import SettingsError

LOOPBACK = "loopback"
#: Among trusted proxies: the router of the network that the process is in.
GATEWAY = "gateway"
#: Beside those that are secrets as a whole.
_HOLDING_A_SECRET = ("database_url_setting",)
#: The shortest time that rows of history are kept.
MIN_DAYS = 30


class Settings(BaseSettings):
    """The portal's environment. Unknown variables are ignored, wrong values all named at once."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, frozen=True)

    data_dir: Path = Field(
        default=Path("data/state"),
        alias="PORTAL_DATA_DIR",
        description="Folder of the state database, key file, sandbox and checkpoints.",
    )
    database_url_setting: str = Field(
        default="",
        alias="PORTAL_DATABASE_URL",
        description="SQLAlchemy URL of the state database; empty: SQLite in the data folder.",
    )
    database_password: SecretStr = Field(
        default=SecretStr(""),
        alias="PORTAL_DATABASE_PASSWORD",
        description="Password for that URL, where it names a user and no password.",
    )
    broker_url: SecretStr = Field(
        default=SecretStr(""),
        alias="PORTAL_BROKER_URL",
        description="amqp:// URL that puts jobs on RabbitMQ; empty: in-process workers.",
    )
    broker_password: SecretStr = Field(
        default=SecretStr(""),
        alias="PORTAL_BROKER_PASSWORD",
        description="Password for that URL, where it names a user and no password.",
    )
    secret_keys: SecretStr = Field(
        default=SecretStr(""),
        alias="PORTAL_SECRET_KEYS",
        description="Fernet keys, comma separated, newest first; empty: a generated 0600 file.",
    )
    admin_user: str = Field(
        default="admin",
        alias="PORTAL_ADMIN_USER",
        description="Name of the admin made at the first start.",
    )
    admin_password: SecretStr = Field(
        default=SecretStr(""),
        alias="PORTAL_ADMIN_PASSWORD",
        description="Its password; empty: a random one, printed once.",
    )
    local_passwords: Literal["on", "off"] = Field(
        default="on",
        alias="PORTAL_LOCAL_PASSWORDS",
        description="off: people sign in with an identity provider only; see accounts break-glass.",
    )
    second_factor_roles: Annotated[tuple[Role, ...], NoDecode] = Field(
        default=(),
        alias="PORTAL_SECOND_FACTOR_ROLES",
        description="Roles, comma separated, whose local accounts must have a second factor.",
    )
    step_up_minutes: int = Field(
        default=15,
        ge=1,
        le=720,
        alias="PORTAL_STEP_UP_MINUTES",
        description="How long a sign-in, or the password typed once more, lets dangerous acts by.",
    )
    sandbox: Literal["auto", "on", "off"] = Field(
        default="auto",
        alias="PORTAL_SANDBOX",
        description="auto: on while no environment is configured; on; off.",
    )
    api_allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        alias="PORTAL_API_ALLOWED_ORIGINS",
        description="Origins, comma separated, that may call the REST API from a browser.",
    )
    api_requests_per_minute: int = Field(
        default=3000,
        ge=0,
        alias="PORTAL_API_REQUESTS_PER_MINUTE",
        description="REST requests a minute of one API token, or of one address without; 0: any.",
    )
    api_token: SecretStr = Field(
        default=SecretStr(""),
        alias="PORTAL_API_TOKEN",
        description="API token that commands act as, with its role and limits; empty: as an admin.",
    )
    metrics: SecretStr = Field(
        default=SecretStr(""),
        alias="PORTAL_METRICS",
        description="/metrics for Prometheus: empty: off; loopback; or the token that it sends.",
    )
    public_url: str = Field(
        default="http://localhost:8501",
        alias="PORTAL_PUBLIC_URL",
        description="Address people reach the portal at; links and Secure cookies follow it.",
    )
    ca_bundle: str = Field(
        default="",
        alias="PORTAL_CA_BUNDLE",
        description="PEM file of authorities that every connection trusts beside the system's.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("127.0.0.1", "::1"),
        alias="PORTAL_TRUSTED_PROXIES",
        description="Proxies whose X-Forwarded-For and -Proto count: addresses, networks, gateway.",
    )
    published: str = Field(
        default="127.0.0.1:8501",
        alias="PORTAL_PUBLISH",
        description="Where compose publishes the portal; gateway above counts on loopback only.",
    )
    otlp_endpoint: str = Field(
        default="",
        alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Where OpenTelemetry's spans go over OTLP/HTTP; empty: nowhere.",
    )
    keep_audit_days: int = Field(
        default=0,
        ge=0,
        alias="PORTAL_KEEP_AUDIT_DAYS",
        description="Audit events older than so many days go into signed archives; 0: for ever.",
    )
    keep_jobs_days: int = Field(
        default=730,
        ge=0,
        alias="PORTAL_KEEP_JOBS_DAYS",
        description="Background jobs that ended go into archives after so many days; 0: never.",
    )
    keep_runs_days: int = Field(
        default=1095,
        ge=0,
        alias="PORTAL_KEEP_RUNS_DAYS",
        description="Runs of ingestion, tokenization and user sync; 0: for ever.",
    )
    keep_tokens_days: int = Field(
        default=365,
        ge=0,
        alias="PORTAL_KEEP_TOKENS_DAYS",
        description="API tokens that were revoked or expired are deleted then; 0: never.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        alias="PORTAL_LOG_LEVEL",
        description="Level of the structured log on stderr.",
    )

    dms_db_url: SecretStr = Field(
        default=SecretStr(""), alias="DMS_DB_URL", description="Mount ledger, SQLAlchemy URL."
    )
    dms_rabbitmq_url: SecretStr = Field(
        default=SecretStr(""), alias="DMS_RABBITMQ_URL", description="Broker of the DMS servers."
    )
    dms_request_timeout: float = Field(
        default=300.0,
        gt=0,
        alias="DMS_REQUEST_TIMEOUT",
        description="Seconds to wait for a DMS server's reply.",
    )
    dms_log_level: str = Field(
        default="INFO", alias="DMS_LOG_LEVEL", description="Log level of the DMS client."
    )
    keystone_token: SecretStr = Field(
        default=SecretStr(""),
        alias="KEYSTONE_TOKEN",
        description="Token put into mount requests that carry none.",
    )

    lambda_mapping: str = Field(
        default="",
        alias="DATAHUB_INGESTION_LAMBDA_MAPPING",
        description="Inline JSON: dataset URN to Lambda name.",
    )
    lambda_mapping_file: str = Field(
        default="",
        alias="DATAHUB_INGESTION_LAMBDA_MAPPING_FILE",
        description="JSON or YAML file with the mapping.",
    )
    lambda_default: str = Field(
        default="",
        alias="DATAHUB_INGESTION_LAMBDA_DEFAULT",
        description="Lambda when no mapping answers.",
    )
    lambda_region: str = Field(
        default="",
        validation_alias=AliasChoices(
            "DATAHUB_INGESTION_LAMBDA_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"
        ),
        description="AWS region; then AWS_REGION, then AWS_DEFAULT_REGION.",
    )
    job_arn_property_urn: str = Field(
        default="",
        alias="DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN",
        description="Structured property on DataJobs that holds the Step Functions ARN.",
    )

    dbx_jdbc_url: SecretStr = Field(
        default=SecretStr(""), alias="DBX_JDBC_URL", description="Databricks JDBC URL."
    )
    dbx_token: SecretStr = Field(
        default=SecretStr(""), alias="DBX_TOKEN", description="Databricks access token."
    )
    dbx_http_path: str = Field(
        default="", alias="DBX_HTTP_PATH", description="HTTP path of the SQL warehouse."
    )
    dbx_catalog: str = Field(default="", alias="DBX_CATALOG", description="Unity catalog.")

    @field_validator("api_allowed_origins", mode="before")
    @classmethod
    def _origins(cls, value: Any) -> Any:
        """As browsers send them; one of another form would never match, and nobody would know."""
        texts = value.split(",") if isinstance(value, str) else value
        origins = tuple(text.strip().rstrip("/").lower() for text in texts if text.strip())
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"https?://[^/\s?#@]+", origin):
                raise ValueError(f"{origin!r} is no origin; one is like https://data.example.com")
        return origins

    @field_validator("second_factor_roles", mode="before")
    @classmethod
    def _roles(cls, value: Any) -> Any:
        texts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        unknown = [text for text in texts if text not in set(Role)]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no role; roles are {', '.join(Role)}")
        return tuple(texts)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _addresses(cls, value: Any) -> Any:
        texts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        for text in texts:
            try:
                text == GATEWAY or ipaddress.ip_network(text, strict=False)
            except ValueError as exc:
                said = f"{text!r} is neither an address nor a network nor {GATEWAY}"
                raise ValueError(said) from exc
        return tuple(texts)

    @field_validator("public_url")
    @classmethod
    def _has_scheme(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

    @field_validator("keep_audit_days", "keep_jobs_days", "keep_runs_days", "keep_tokens_days")
    @classmethod
    def _is_a_month(cls, value: int) -> int:
        if 0 < value < MIN_DAYS:
            raise ValueError(f"must be 0 or at least {MIN_DAYS} days")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("metrics")
    @classmethod
    def _is_a_long_token(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 16 and value.get_secret_value() != LOOPBACK:
            raise ValueError("must be empty, loopback, or a token of at least 16 characters")
        return value

    @field_validator("broker_url")
    @classmethod
    def _is_amqp(cls, value: SecretStr) -> SecretStr:
        """Said here, because pika's own errors would come up with the first job."""
        url = value.get_secret_value()
        if not url:
            return value
        if not url.startswith(("amqp://", "amqps://")):
            raise ValueError("must start with amqp:// or amqps://, or be empty")
        from pika import URLParameters

        try:
            URLParameters(url)
        except (TypeError, ValueError) as exc:  # TypeError: a user without a password
            raise ValueError(
                "must be a URL like amqp://user:password@host:5672/; the password may stand in "
                "PORTAL_BROKER_PASSWORD"
            ) from exc
        return value

    @field_validator("database_url_setting")
    @classmethod
    def _is_database(cls, value: str) -> str:
        settings_files.check_database_url(value)
        return value

    @property
    def database_url(self) -> str:
        if self.database_url_setting:
            return self.database_url_setting
        return f"sqlite:///{(self.data_dir / 'portal.sqlite').absolute()}"

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https://")


def variable_names(field: str) -> list[str]:
    """The environment variables that feed a field, first one wins."""
    info = Settings.model_fields[field]
    if info.alias:
        return [info.alias]
    choices = info.validation_alias
    return [str(c) for c in choices.choices] if isinstance(choices, AliasChoices) else []


def load_settings(environ: dict[str, str] | None = None) -> Settings:
    """Read the environment; a secret NAME may stand in the file that NAME_FILE names.

    Raises SettingsError naming every wrong variable at once.
    """
    source = dict(os.environ if environ is None else environ)
    problems = settings_files.read(source, secret_names()) + settings_files.complete_urls(source)
    values: dict[str, Any] = {}
    for field in Settings.model_fields:
        for name in variable_names(field):
            if source.get(name):
                values[field] = source[name]
                break
    try:
        settings = _Explicit(**values)
    except ValidationError as exc:
        for error in exc.errors():
            field = str(error["loc"][0])
            names = variable_names(field) if field in Settings.model_fields else [field]
            problems.append(f"{names[0]}: {error['msg'].removeprefix('Value error, ')}")
        raise SettingsError(problems) from exc
    if problems:
        raise SettingsError(problems)
    return settings


def secret_names() -> list[str]:
    """The variables that may come from a file, as orchestrators hand over secrets."""
    fields = Settings.model_fields.items()
    secret = [
        name for name, info in fields if info.annotation is SecretStr or name in _HOLDING_A_SECRET
    ]
    return [variable for field in secret for variable in variable_names(field)]


class _Explicit(Settings):
    """Settings from given values only; load_settings has already looked at the environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the names are pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings."""
    return load_settings()
