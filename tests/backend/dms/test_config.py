"""Settings: arguments > environment > client.conf > defaults."""

from pathlib import Path

import pytest

from backend.dms import config
from backend.dms.client import DatabaseException, DMSClient, DMSClientException


def _home(tmp_path: Path, text: str) -> Path:
    file = tmp_path / ".trilio-dms" / "client.conf"
    file.parent.mkdir()
    file.write_text(text)
    return tmp_path


FILE = "[client]\ndb_url = sqlite:///file%20.db\nrabbitmq_url = amqp://file\ntimeout = 30\n"


def test_an_argument_beats_the_environment_and_the_file(tmp_path: Path):
    home = _home(tmp_path, FILE)
    environ = {"DMS_DB_URL": "sqlite:///env.db", "DMS_REQUEST_TIMEOUT": "20"}
    found = config.load(db_url="sqlite:///argument.db", environ=environ, home=home)
    assert found.db_url == "sqlite:///argument.db"
    assert found.timeout == 20
    assert found.rabbitmq_url == "amqp://file"
    assert found.log_level == "INFO"


def test_the_file_beats_the_defaults_and_may_hold_percent_signs(tmp_path: Path):
    found = config.load(environ={}, home=_home(tmp_path, FILE))
    assert found.db_url == "sqlite:///file%20.db"
    assert found.timeout == 30


def test_the_defaults(tmp_path: Path):
    found = config.load(environ={"KEYSTONE_TOKEN": "k"}, home=tmp_path)
    assert (found.timeout, found.log_level, found.keystone_token) == (300.0, "INFO", "k")


def test_every_wrong_value_is_named_with_its_source(tmp_path: Path):
    environ = {"DMS_REQUEST_TIMEOUT": "soon", "DMS_LOG_LEVEL": "LOUD"}
    with pytest.raises(DMSClientException) as caught:
        config.load(environ=environ, home=tmp_path)
    assert "DMS_REQUEST_TIMEOUT" in str(caught.value)
    assert "DMS_LOG_LEVEL" in str(caught.value)


def test_an_unreadable_file_is_named(tmp_path: Path):
    with pytest.raises(DMSClientException, match=r"client\.conf cannot be read"):
        config.load(environ={}, home=_home(tmp_path, "no section"))


def test_its_repr_holds_no_password(tmp_path: Path):
    found = config.load(db_url="mysql+pymysql://u:hidden@h/d", environ={}, home=tmp_path)
    assert "hidden" not in repr(found)


def test_a_client_without_a_ledger_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DatabaseException, match="DMS_DB_URL"):
        DMSClient()


def test_a_client_takes_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("DMS_DB_URL", f"sqlite:///{tmp_path / 'l.db'}")
    monkeypatch.setenv("DMS_RABBITMQ_URL", "memory://config-test")
    with DMSClient() as client:
        assert client.get_active_mounts() == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp://u:p@h.invalid:abc/", "Port could not be cast"),
        ("amqp://h.invalid:99999/", "Port out of range"),
        ("amqp://[::1", "Invalid IPv6 URL"),
        ("[::1", "must start with amqp://"),
    ],
)
def test_a_broker_address_that_cannot_be_read_is_the_librarys_error(
    tmp_path: Path, url: str, said: str
):
    with pytest.raises(DMSClientException, match=said):
        DMSClient(f"sqlite:///{tmp_path / 'ledger.sqlite'}", url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mysql+pymysql://u:p@127.0.0.1:1/d?bogus=1", "does not know .'bogus'"),
    ],
)
def test_a_ledger_address_that_cannot_be_used_is_the_librarys_error(url: str, said: str):
    with pytest.raises(DatabaseException, match=said) as caught:
        DMSClient(url)
    assert "u:p@" not in str(caught.value)
