"""What the portal sends is valid GraphQL for DataHub's own schema and for the stand-in's."""

import pytest
from graphql import GraphQLSchema, build_ast_schema, parse, validate

from backend.integrations.datahub import operations
from backend.sandbox.datahub import graph

NAMES = sorted(operations.ALL)


@pytest.fixture(scope="module")
def datahub_schema(contract) -> GraphQLSchema:
    files = sorted((contract / "graphql").glob("*.graphql"))
    return build_ast_schema(parse("\n".join(each.read_text("utf-8") for each in files)))


def test_there_are_operations():
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_is_valid_for_datahub(name, datahub_schema):
    assert validate(datahub_schema, parse(operations.ALL[name])) == []


@pytest.mark.parametrize("name", NAMES)
def test_is_valid_for_the_stand_in(name):
    assert validate(graph.schema(), parse(operations.ALL[name])) == []


def test_only_the_question_about_one_source_asks_for_a_recipe():
    asking = [name for name in NAMES if "recipe" in operations.ALL[name]]
    assert asking == ["INGESTION_SOURCE"]
