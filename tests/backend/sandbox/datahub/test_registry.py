"""The stand-in's registry is the SDK's."""

import pytest

from backend.integrations.datahub import sdk
from backend.sandbox.datahub import registry
from backend.sandbox.datahub.refusals import Refused
from tests.backend.integrations.datahub.conftest import CUSTOMER, NIGHTLY


def test_has_the_sdks_entities_keys_and_aspects():
    sdk.load()
    from datahub.metadata.schema_classes import KEY_ASPECTS

    entities = registry._registry()["entities"]

    assert set(entities) == set(KEY_ASPECTS)
    for name, kind in KEY_ASPECTS.items():
        key, fields, aspects = entities[name]
        assert key == kind.ASPECT_NAME
        assert fields == [field.name for field in kind.RECORD_SCHEMA.fields]
        assert set(aspects) == set(kind.ASPECT_INFO["entityAspects"])


def test_has_the_sdks_records():
    sdk.load()
    from datahub.metadata.schema_classes import ASPECT_NAME_MAP

    aspects = registry._registry()["aspects"]

    assert set(aspects) == set(ASPECT_NAME_MAP)
    for name, kind in ASPECT_NAME_MAP.items():
        assert aspects[name][0] == kind.RECORD_SCHEMA.fullname.replace(".pegasus2avro", "")


def test_takes_the_key_from_the_urn():
    assert registry.key_value(CUSTOMER) == {
        "platform": "urn:li:dataPlatform:mysql",
        "name": "shop.customer",
        "origin": "PROD",
    }
    assert registry.key_value(NIGHTLY) == {
        "flow": "urn:li:dataFlow:(airflow,portal,PROD)",
        "jobId": "nightly",
    }


@pytest.mark.parametrize("urn", ["nope", "urn:li:nope:1", "urn:li:dataset:("])
def test_refuses_unknown_entities(urn):
    with pytest.raises(Refused):
        registry.entity_type(urn)


def test_refuses_an_aspect_of_another_entity_and_an_incomplete_one():
    with pytest.raises(Refused, match="Unknown aspect tagProperties"):
        registry.require_valid("dataset", "tagProperties", {"name": "x"})
    with pytest.raises(Refused, match="/name"):
        registry.require_valid("dataJob", "dataJobInfo", {"customProperties": {}})
