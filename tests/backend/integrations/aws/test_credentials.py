"""Credentials of this machine, as they come, go and change under a running portal."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig, from_connection
from backend.integrations.aws.errors import AwsCredentials, AwsRefused
from backend.integrations.aws.gateway import Gateway
from backend.integrations.aws.probe import probe
from backend.sandbox.aws import AwsStandIn

KEYS = "[{}]\naws_access_key_id = {}\naws_secret_access_key = s\n"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """machine("credentials", text): the AWS files of a machine that has nothing else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    def put(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return put


@pytest.fixture
def bare(aws: AwsStandIn) -> AwsConfig:
    """A connection that leaves the credentials to this machine."""
    return AwsConfig(region=aws.region, endpoint_url=aws.url)


def _key_id(config: AwsConfig) -> str:
    signer = clients.client(config, "lambda")._request_signer
    return str(signer._credentials.get_frozen_credentials().access_key)


class TestTheyChange:
    def test_those_that_come_after_a_failure_are_taken(
        self, machine: Callable[..., Path], bare: AwsConfig, aws: AwsStandIn
    ) -> None:
        aws.add_function("f")
        with pytest.raises(AwsCredentials, match="Unable to locate credentials"):
            Gateway(bare).start_lambda("f", b"{}")
        machine("credentials", KEYS.format("default", "AKIAFIRST"))
        assert Gateway(bare).start_lambda("f", b"{}").request_id
        assert len(aws.starts()) == 1

    def test_a_changed_file_counts_at_the_next_call(
        self, machine: Callable[..., Path], bare: AwsConfig
    ) -> None:
        machine("credentials", KEYS.format("default", "AKIAFIRST"))
        assert _key_id(bare) == "AKIAFIRST"
        machine("credentials", KEYS.format("default", "AKIASECONDONE"))
        assert _key_id(bare) == "AKIASECONDONE"

    @pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
    def test_a_refused_client_is_not_kept_and_another_one_is(
        self, aws: AwsStandIn, config: AwsConfig, bare: AwsConfig, code: str
    ) -> None:
        aws.add_function("f")
        refused = clients.client(config, "lambda", region=aws.region, once=True)
        other = clients.client(AwsConfig("eu-west-1", aws.url, "AKIAOTHER"), "sts")
        with (
            aws.faults.inject(operation="Invoke", status=403, code=code),
            pytest.raises(AwsCredentials),
        ):
            Gateway(config).start_lambda("f", b"{}")
        assert clients.client(config, "lambda", region=aws.region, once=True) is not refused
        assert clients.client(AwsConfig("eu-west-1", aws.url, "AKIAOTHER"), "sts") is other

    def test_a_test_begins_with_new_clients(self, aws: AwsStandIn, config: AwsConfig) -> None:
        before = clients.client(config, "sts", once=True)
        assert probe(config).ok
        assert clients.client(config, "sts", once=True) is not before


class TestSentences:
    def test_a_profile_that_is_not_there(
        self, machine: Callable[..., Path], aws: AwsStandIn
    ) -> None:
        config = from_connection({"profile": "nightly", "endpoint_url": aws.url}, {})
        with pytest.raises(AwsCredentials, match="have no profile nightly"):
            Gateway(config).region("f")

    def test_a_profile_that_is(self, machine: Callable[..., Path], aws: AwsStandIn) -> None:
        machine("credentials", KEYS.format("nightly", "AKIANIGHTLY"))
        config = from_connection({"profile": "nightly", "endpoint_url": aws.url}, {})
        assert _key_id(AwsConfig(**{**vars(config), "region": aws.region})) == "AKIANIGHTLY"

    def test_a_token_file_that_is_not_there(
        self, machine: Callable[..., Path], bare: AwsConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/portal")
        with pytest.raises(AwsCredentials, match=r"/nowhere/token, .* no such file"):
            Gateway(bare).start_lambda("f", b"{}")

    def test_a_ca_file_that_is_not_there(
        self, bare: AwsConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
        with pytest.raises(AwsRefused, match=r"the CA file /nowhere/ca\.pem does not exist"):
            Gateway(bare).start_lambda("f", b"{}")

    def test_a_sign_in_that_has_to_be_made(
        self, machine: Callable[..., Path], aws: AwsStandIn
    ) -> None:
        machine(
            "config",
            "[profile sso]\nsso_start_url = https://sso.example.com\nsso_region = eu-west-1\n"
            "sso_account_id = 123456789012\nsso_role_name = portal\n",
        )
        config = AwsConfig(aws.region, aws.url, profile="sso")
        with pytest.raises(AwsCredentials, match="Run `aws sso login`"):
            Gateway(config).start_lambda("f", b"{}")

    @pytest.mark.parametrize(
        ("text", "said"),
        [("[profile\n", "cannot be used"), ("[profile p]\naws_access_key_id = A\n", "half of")],
    )
    def test_files_that_are_wrong(
        self, machine: Callable[..., Path], aws: AwsStandIn, text: str, said: str
    ) -> None:
        machine("config", text)
        with pytest.raises(AwsCredentials, match=said):
            Gateway(AwsConfig(aws.region, aws.url, profile="p")).start_lambda("f", b"{}")


def test_temporary_keys_and_the_external_id_are_sent(aws: AwsStandIn) -> None:
    config = from_connection(
        {**aws.settings(), "external_id": "ext-7", "role_arn": "arn:aws:iam::123456789012:role/r"},
        {"secret_access_key": "s", "session_token": "t0k"},
    )
    assert (config.session_token, config.external_id) == ("t0k", "ext-7")
    assert "t0k" not in repr(config)
    session = clients._new_session(AwsConfig(**{**vars(config), "role_arn": ""}))
    assert session.get_credentials().token == "t0k"
    fetch = clients._new_session(config)._session._credentials._refresh_using
    assert fetch.__self__._assume_kwargs["ExternalId"] == "ext-7"
    assert probe(config).ok  # moto assumes any role


@pytest.mark.parametrize(
    ("role", "region"),
    [
        ("arn:aws:iam::123456789012:role/r", "us-east-1"),
        ("arn:aws-cn:iam::123456789012:role/r", "cn-north-1"),
        ("arn:aws-us-gov:iam::123456789012:role/r", "us-gov-east-1"),
        ("arn:aws-of-tomorrow:iam::123456789012:role/r", "us-east-1"),
    ],
)
def test_a_role_is_asked_for_in_its_own_partition(
    monkeypatch: pytest.MonkeyPatch, role: str, region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    config = AwsConfig(access_key_id="a", secret_access_key="b", role_arn=role)
    fetch = clients._new_session(config)._session._credentials._refresh_using
    assert fetch.__self__._client_creator("sts").meta.region_name == region
