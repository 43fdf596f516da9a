"""What Streamlit refuses before the API is asked has the API's shape; the rest is left to it."""

import pytest
import streamlit as st
from starlette.testclient import TestClient


@pytest.fixture(scope="module")
def client():
    from app import app

    assert isinstance(app, st.App)
    return TestClient(app)  # not entered: nothing is started


@pytest.mark.parametrize(
    "address",
    ["//api/ingestion/run", "/api/mounts/hosts/a%00b", "/api/jobs/..%2f1", "/trigger/%2e%2e/x"],
)
def test_an_address_of_the_api_gets_an_error_of_the_api(client, address):
    answer = client.post(f"http://testserver{address}", json={})
    assert answer.status_code == 400
    document = answer.json()
    assert sorted(document) == ["detail", "error", "reference"]
    assert "/api/docs" in document["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("address", ["//apis/x", "/page/..%2fx"])
def test_any_other_is_streamlits(client, address):
    answer = client.get(f"http://testserver{address}")
    assert (answer.status_code, answer.text) == (400, "Bad Request")
