"""The environment is read once, and everything wrong with it is said at once."""

from pathlib import Path

import pika
import pytest
from sqlalchemy.engine import make_url

from backend.core.errors import SettingsError
from backend.core.settings import load_settings, secret_names


class TestLoadSettings:
    def test_names_every_problem_at_once(self) -> None:
        with pytest.raises(SettingsError) as caught:
            load_settings(
                {
                    "PORTAL_SANDBOX": "maybe",
                    "PORTAL_BROKER_URL": "redis://localhost",
                    "DMS_REQUEST_TIMEOUT": "-1",
                    "PORTAL_PUBLIC_URL": "portal.example.org",
                }
            )
        text = "\n".join(caught.value.problems)
        for name in (
            "PORTAL_SANDBOX",
            "PORTAL_BROKER_URL",
            "DMS_REQUEST_TIMEOUT",
            "PORTAL_PUBLIC_URL",
        ):
            assert name in text

    @pytest.mark.parametrize(
        "url", ["nonsense", "postgresql://host:port/db", "mysql://user:hidden@host/db", "redis://h"]
    )
    def test_a_database_no_driver_opens_is_said_without_its_password(self, url: str) -> None:
        with pytest.raises(SettingsError, match=r"^PORTAL_DATABASE_URL: must be a URL") as caught:
            load_settings({"PORTAL_DATABASE_URL": url})
        assert "hidden" not in str(caught.value)

    @pytest.mark.parametrize(
        "url", ["amqp://u@h/", "amqp://u:hidden@h:x/", "amqp://u:hidden@[::1/"]
    )
    def test_a_broker_that_no_driver_reaches_is_said_without_its_password(self, url: str) -> None:
        with pytest.raises(SettingsError, match=r"^PORTAL_BROKER_URL: must be a URL") as caught:
            load_settings({"PORTAL_BROKER_URL": url})
        assert "hidden" not in str(caught.value)

    def test_defaults_need_nothing(self) -> None:
        settings = load_settings({})
        assert settings.sandbox == "auto"
        assert settings.database_url.startswith("sqlite:///")

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({"AWS_DEFAULT_REGION": "c"}, "c"),
            ({"AWS_DEFAULT_REGION": "c", "AWS_REGION": "b"}, "b"),
            (
                {
                    "AWS_DEFAULT_REGION": "c",
                    "AWS_REGION": "b",
                    "DATAHUB_INGESTION_LAMBDA_REGION": "a",
                },
                "a",
            ),
        ],
    )
    def test_region_order(self, environ: dict[str, str], expected: str) -> None:
        assert load_settings(environ).lambda_region == expected

    def test_origins_are_split(self) -> None:
        settings = load_settings({"PORTAL_API_ALLOWED_ORIGINS": "https://a.org, https://B.org/"})
        assert settings.api_allowed_origins == ("https://a.org", "https://b.org")

    @pytest.mark.parametrize("text", ["a.org", "https://a.org/path", "https://", "ftp://a.org"])
    def test_what_no_browser_sends_is_no_origin(self, text: str) -> None:
        with pytest.raises(SettingsError) as raised:
            load_settings({"PORTAL_API_ALLOWED_ORIGINS": f"https://a.org,{text}"})
        assert "is no origin" in str(raised.value.problems)

    def test_secrets_do_not_show_in_its_text(self) -> None:
        settings = load_settings({"PORTAL_ADMIN_PASSWORD": "planted-secret"})
        assert "planted-secret" not in repr(settings)


class TestFiles:
    @pytest.mark.parametrize("name", secret_names())
    def test_every_secret_may_stand_in_a_file(self, name: str, tmp_path: Path) -> None:
        values = {
            "PORTAL_DATABASE_URL": "sqlite:////tmp/elsewhere.sqlite",
            "PORTAL_BROKER_URL": "amqp://portal:secret@rabbit:5672/",
        }
        urls = {
            "PORTAL_DATABASE_PASSWORD": {"PORTAL_DATABASE_URL": "mysql+pymysql://portal@db/portal"},
            "PORTAL_BROKER_PASSWORD": {"PORTAL_BROKER_URL": "amqp://portal@rabbit:5672/"},
        }
        beside = urls.get(name, {})
        file = tmp_path / "secret"
        file.write_text(values.get(name, "a-secret-of-sixteen-characters") + "\n")
        by_file = load_settings({f"{name}_FILE": str(file), **beside})
        assert by_file == load_settings({name: file.read_text().strip(), **beside})
        others = {name: "another-secret-of-sixteen"} | beside if beside else {}
        assert by_file != load_settings(others)

    def test_a_file_that_cannot_be_read_is_named_beside_other_faults(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing"
        with pytest.raises(SettingsError) as raised:
            load_settings({"PORTAL_ADMIN_PASSWORD_FILE": str(missing), "PORTAL_SANDBOX": "maybe"})
        said = raised.value.problems
        assert said[0] == (
            f"PORTAL_ADMIN_PASSWORD_FILE: {missing} cannot be read: No such file or directory"
        )
        assert said[1].startswith("PORTAL_SANDBOX: ")

    def test_not_both(self, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text("one")
        with pytest.raises(SettingsError, match="keep one of them"):
            load_settings({"KEYSTONE_TOKEN": "two", "KEYSTONE_TOKEN_FILE": str(file)})


class TestPasswordsOfUrls:
    def test_is_put_into_the_url_whatever_it_is_made_of(self) -> None:
        password = "p@ss:/w#rd?&%41 +é"
        settings = load_settings(
            {
                "PORTAL_DATABASE_URL": "postgresql+psycopg2://us%40er@db:5432/portal?sslmode=require",
                "PORTAL_DATABASE_PASSWORD": password,
                "PORTAL_BROKER_URL": "amqps://portal@[::1]:5671/%2f",
                "PORTAL_BROKER_PASSWORD": password,
            }
        )
        url = make_url(settings.database_url)
        assert (url.username, url.password, url.host) == ("us@er", password, "db")
        assert url.query == {"sslmode": "require"}
        broker = pika.URLParameters(settings.broker_url.get_secret_value())
        assert (broker.credentials.username, broker.credentials.password) == ("portal", password)
        assert (broker.host, broker.port, broker.virtual_host) == ("::1", 5671, "/")

    @pytest.mark.parametrize(
        "url",
        ["", "sqlite:////tmp/x", "mysql+pymysql://db/portal", "mysql+pymysql://u:p@db/portal",
         "mysql+pymysql://u:@db/portal"],
    )  # fmt: skip
    def test_without_a_user_or_beside_another_it_is_refused(self, url: str) -> None:
        with pytest.raises(SettingsError) as raised:
            load_settings({"PORTAL_DATABASE_URL": url, "PORTAL_DATABASE_PASSWORD": "planted"})
        assert raised.value.problems == [
            "PORTAL_DATABASE_PASSWORD: PORTAL_DATABASE_URL must name a user, and no password of "
            "its own"
        ]

    def test_a_url_that_is_none_is_named_by_its_own_check(self) -> None:
        with pytest.raises(SettingsError) as raised:
            load_settings({"PORTAL_BROKER_URL": "https://[x", "PORTAL_BROKER_PASSWORD": "planted"})
        assert [text.partition(":")[0] for text in raised.value.problems] == ["PORTAL_BROKER_URL"]
