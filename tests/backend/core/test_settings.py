"""The environment is read once, and everything wrong with it is said at once."""

import pytest

from backend.core.errors import SettingsError
from backend.core.settings import load_settings


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
        settings = load_settings({"PORTAL_API_ALLOWED_ORIGINS": "https://a.org, https://b.org/"})
        assert settings.api_allowed_origins == ("https://a.org", "https://b.org")

    def test_secrets_do_not_show_in_its_text(self) -> None:
        settings = load_settings({"PORTAL_ADMIN_PASSWORD": "planted-secret"})
        assert "planted-secret" not in repr(settings)
