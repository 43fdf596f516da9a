"""Probes against the stand-ins, each working and then broken once; AWS with mapped functions."""

import re
import socket
from collections.abc import Iterator

import pytest

from backend.connections import probing
from backend.connections.probes import aws as aws_probe
from backend.connections.schemas import ConnectionConfig, TestResult
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn as DataHub
from backend.sandbox.directory import StandIn as Directory
from backend.sandbox.directory import seeding as directory_people
from backend.sandbox.openmetadata import StandIn as OpenMetadata
from backend.sandbox.openmetadata import seeding as openmetadata_people
from tests.backend.connections.conftest import Save


def _probed(config: ConnectionConfig) -> TestResult:
    """The deadline is another test's; these ask what comes of an answer."""
    return probing.run(config, deadline=60)


class TestDataHub:
    def test_works_and_a_wrong_token_is_said_although_config_answers(self, save: Save) -> None:
        with DataHub(token="right") as gms:
            good = _probed(save("datahub", {"server": gms.url}, {"token": "right"}))
            wrong = _probed(save("datahub", {}, {"token": "wrong-planted"}))
        assert good.ok, good
        assert good.server_version
        assert not wrong.ok
        assert "token" in wrong.cause
        assert "planted" not in str(wrong)


class TestOpenMetadata:
    def test_works_and_tells_its_version_and_a_wrong_token(self, save: Save) -> None:
        with OpenMetadata(seed=openmetadata_people.seed_demo) as server:
            token = server.token("admin")
            good = _probed(save("openmetadata", {"host_port": server.url}, {"jwt_token": token}))
            wrong = _probed(save("openmetadata", {}, {"jwt_token": "wrong-planted"}))
        assert good.ok, good
        assert good.server_version == "2.0.6"
        assert not wrong.ok
        assert "token" in wrong.cause.lower()

    def test_a_token_that_ends_soon_is_warned_about_once(self, save: Save) -> None:
        with OpenMetadata(seed=openmetadata_people.seed_demo) as server:
            token = server.token("admin", expires_in=5 * 86_400)
            found = _probed(save("openmetadata", {"host_port": server.url}, {"jwt_token": token}))
        assert found.ok
        assert len([text for text in found.warnings if "expire" in text]) == 1


class TestDirectory:
    def test_works_and_a_missing_token_is_said(self, save: Save) -> None:
        with Directory(token="right", seed=directory_people.seed_demo) as server:
            good = _probed(save("directory", {"endpoint": server.url}, {"token": "right"}))
            wrong = _probed(save("directory", {}, {"token": "wrong-planted"}))
        assert good.ok, good
        assert not wrong.ok
        assert "token" in (wrong.cause + wrong.advice).lower()


@pytest.fixture(scope="module")
def cloud() -> Iterator[AwsStandIn]:
    with AwsStandIn() as aws:
        aws.add_function("earnings-lambda")
        yield aws


class TestAws:
    def probe(self, save: Save, cloud: AwsStandIn) -> TestResult:
        return _probed(save("aws", dict(cloud.settings()), dict(cloud.secrets())))

    def test_the_callers_identity_is_the_version(self, save: Save, cloud: AwsStandIn) -> None:
        found = self.probe(save, cloud)
        assert found.ok, found
        assert found.server_version.startswith("account ")
        assert "expire" not in found.server_version

    def test_credentials_that_end_say_when(self, save: Save, cloud: AwsStandIn) -> None:
        settings = {**cloud.settings(), "role_arn": "arn:aws:iam::123456789012:role/r"}
        found = _probed(save("aws", settings, dict(cloud.secrets())))
        assert found.ok, found
        assert re.search(r"; credentials expire at \d{4}-\d\d-\d\d ", found.server_version)
        assert found.warnings == ()

    def test_every_mapped_function_is_tried_dry_and_none_is_started(
        self, save: Save, cloud: AwsStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aws_probe, "_providers", [lambda _: [("lambda", "earnings-lambda")]])
        assert self.probe(save, cloud).ok
        assert list(cloud.starts()) == []

    def test_a_mapped_function_that_is_not_there_fails_the_test_by_name(
        self, save: Save, cloud: AwsStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[str] = []

        def mapped(environment: str) -> list[tuple[str, str]]:
            seen.append(environment)
            return [("lambda", "earnings-lambda"), ("lambda", "no-such-lambda")]

        monkeypatch.setattr(aws_probe, "_providers", [mapped])
        found = self.probe(save, cloud)
        assert not found.ok
        assert "no-such-lambda" in found.cause
        assert seen == ["Prod"]


class TestDatabricks:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"server_hostname": "127.0.0.1", "http_path": "/sql/x"}, "othing listens"),
            ({"server_hostname": "no-such-host.invalid", "http_path": "/sql/x"}, "DNS"),
            ({"jdbc_url": "jdbc:databricks://127.0.0.1:1;httpPath=/sql/x"}, "othing listens"),
        ],
    )
    def test_an_unreachable_warehouse_is_said_at_once(
        self, save: Save, settings: dict[str, str], words: str
    ) -> None:
        with socket.socket() as https:
            if settings.get("server_hostname") == "127.0.0.1" and not https.connect_ex(
                ("127.0.0.1", 443)
            ):
                pytest.skip("something listens at port 443 of this machine")
        config = save("databricks", settings, {"access_token": "planted-dapi"})
        found = _probed(config)
        assert words in found.cause
        assert found.advice
        assert "planted" not in str(found)
