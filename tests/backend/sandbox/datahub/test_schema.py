"""The reduced GraphQL schema is a true part of DataHub's, and enough for the contract."""

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_ast_schema,
    is_introspection_type,
    parse,
    validate,
    validate_schema,
)
from graphql.type import GraphQLInterfaceType, GraphQLNamedType, GraphQLObjectType

from backend.sandbox.datahub import graph


@pytest.fixture(scope="module")
def whole(contract) -> GraphQLSchema:
    files = sorted((contract / "graphql").glob("*.graphql"))
    return build_ast_schema(parse("\n".join(each.read_text("utf-8") for each in files)))


def test_is_a_sound_schema():
    assert validate_schema(graph.schema()) == []


def test_is_a_faithful_part_of_datahubs(whole):
    ours = {
        name: kind
        for name, kind in graph.schema().type_map.items()
        if not is_introspection_type(kind)
    }
    differences = [
        difference
        for name, kind in ours.items()
        for difference in _differences(kind, whole.type_map.get(name))
    ]

    assert len(ours) > 80
    assert differences == []


def test_the_contracts_operations_are_valid(contract):
    text = (contract / "graphql-operations" / "operations.graphql").read_text("utf-8")

    assert validate(graph.schema(), parse(text)) == []


def test_what_the_sdk_was_captured_sending_is_valid(sample):
    queries = [
        request["body"]["query"]
        for capture in sample("sdk-requests")["captures"]
        for request in capture["requests"]
        if request["path"] == "/api/graphql"
    ]

    assert len(queries) >= 3
    for query in queries:
        assert validate(graph.schema(), parse(query)) == []


def test_a_difference_would_be_found(whole):
    lying = build_ast_schema(
        parse("type Query { me: String! nope(a: Int): Int } enum FabricType { PROD MOON }")
    )

    found = [
        difference
        for name in ("Query", "FabricType")
        for difference in _differences(lying.type_map[name], whole.type_map[name])
    ]

    assert len(found) == 3


def _differences(ours: GraphQLNamedType, theirs: GraphQLNamedType | None) -> list[str]:
    if theirs is None or type(ours) is not type(theirs):
        return [f"{ours.name}: not of this kind in DataHub"]
    if isinstance(ours, GraphQLEnumType):
        return [f"{ours.name}.{v}: no such value" for v in ours.values if v not in theirs.values]
    if isinstance(ours, GraphQLUnionType):
        names = {each.name for each in theirs.types}
        return [f"{ours.name}: {each.name}" for each in ours.types if each.name not in names]
    if isinstance(ours, GraphQLInputObjectType):
        return [
            *_unequal(ours.name, ours.fields, theirs.fields),
            *_missing_required(ours.name, ours.fields, theirs.fields),
        ]
    if isinstance(ours, (GraphQLObjectType, GraphQLInterfaceType)):
        return _object(ours, theirs)
    return []


def _object(ours, theirs) -> list[str]:
    found = _unequal(ours.name, ours.fields, theirs.fields)
    above = {each.name for each in theirs.interfaces}
    found += [f"{ours.name} implements {i.name}" for i in ours.interfaces if i.name not in above]
    for name in set(ours.fields) & set(theirs.fields):
        path = f"{ours.name}.{name}"
        mine, others = ours.fields[name].args, theirs.fields[name].args
        found += _unequal(path, mine, others) + _missing_required(path, mine, others)
    return found


def _unequal(where, ours, theirs) -> list[str]:
    return [
        f"{where}.{name}: {field.type} here, {theirs[name].type if name in theirs else 'nothing'}"
        for name, field in ours.items()
        if name not in theirs
        or str(field.type) != str(theirs[name].type)
        or getattr(field, "default_value", None) != getattr(theirs[name], "default_value", None)
    ]


def _missing_required(where, ours, theirs) -> list[str]:
    return [
        f"{where}.{name}: required by DataHub, unknown here"
        for name, field in theirs.items()
        if str(field.type).endswith("!") and name not in ours
    ]
