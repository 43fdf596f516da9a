"""Requests are checked completely, before anything else happens."""

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.dms.errors import RequestValidationException
from backend.dms.requests import parse, parse_reply
from tests.fixtures.dms_responder import mount_request


def _problems(request: Any) -> str:
    with pytest.raises(RequestValidationException) as caught:
        parse(request, "mount")
    return str(caught.value)


class TestParse:
    def test_everything_that_is_missing_is_named_in_one_error(self):
        said = _problems({})
        for field in ("context", "keystone_token", "job.jobid", "host", "backup_target"):
            assert field in said

    def test_everything_that_is_missing_in_the_target_is_named_in_one_error(self):
        request = mount_request()
        request["backup_target"] = {"type": "s3"}
        said = _problems(request)
        for field in ("id", "filesystem_export_mount_path", "secret_ref"):
            assert f"backup_target.{field}" in said

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"job": {"jobid": "12345"}}, "job.jobid must be an integer, not str"),
            ({"job": {"jobid": True}}, "job.jobid must be an integer, not bool"),
            ({"job": {"jobid": 2**31}}, "job.jobid must be between"),
            ({"job": {"jobid": -1}}, "job.jobid must be between"),
            ({"job": []}, "job must be an object"),
            ({"jobid": 7}, "differ"),
            ({"host": "a b"}, "host may only hold"),
            ({"host": ""}, "host is missing"),
            ({"host": "x" * 300}, "host may only hold"),
            ({"action": "format"}, "action must be mount or unmount"),
            ({"context": None}, "context is missing"),
            ({"keystone_token": 5}, "keystone_token must be text"),
            ({"host": 5}, "host must be text, not int"),
            ({"host": None}, "host is missing: the compute node's name"),
            ({"context": "admin"}, "context must be an object with user_id, tenant_id …, not str"),
            ({"backup_target": None}, "backup_target is missing: an object with id"),
            ({"backup_target": "target-1"}, "backup_target must be an object with id"),
            ({"context": {(1, 2): "x"}}, "keys that are not text"),
            ({"context": {"user_id": b"x", "more": [b"y"]}}, "of the type bytes, which JSON"),
            ({"context": {"user_id": {"x"}}}, "of the type set, which JSON"),
            ({"context": {"lock": threading.Lock()}}, "cannot be copied (TypeError)"),
        ],
    )
    def test_a_wrong_field_is_named(self, change: dict[str, Any], named: str):
        assert named in _problems({**mount_request(), **change})

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"type": "ceph"}, "backup_target.type must be s3 or nfs"),
            ({"secret_ref": None}, "backup_target.secret_ref is missing (type s3)"),
            ({"type": "nfs"}, "backup_target.filesystem_export is missing (type nfs)"),
            ({"filesystem_export_mount_path": "mnt"}, "must be an absolute path"),
            ({"nfs_mount_opts": ["rw"]}, "nfs_mount_opts must be text"),
            ({"id": "x" * 256}, "backup_target.id must be at most 255"),
            ({"id": 5}, "backup_target.id must be text"),
            ({"id": " "}, "backup_target.id is missing"),
        ],
    )
    def test_a_wrong_target_field_is_named(self, change: dict[str, Any], named: str):
        assert named in _problems(mount_request(**change))

    def test_nfs_needs_no_secret(self):
        request = mount_request(type="nfs", secret_ref=None, filesystem_export="10.0.0.1:/b")
        assert parse(request, "mount").backup_target_id == "target-1"

    def test_a_top_level_job_id_is_enough(self):
        request = {**mount_request(), "jobid": 9}
        del request["job"]
        parsed = parse(request, "unmount")
        assert parsed.jobid == 9
        assert parsed.wire["job"]["jobid"] == parsed.wire["jobid"] == 9
        assert parsed.wire["action"] == "unmount"

    def test_the_configured_token_fills_in(self):
        request = {**mount_request(), "keystone_token": None}
        assert (
            parse(request, "mount", keystone_token="from-env").wire["keystone_token"] == "from-env"
        )

    def test_the_masked_request_holds_no_secret(self):
        request = mount_request()
        request["job"]["job_details"] = [{"id": "1", "data": {"note": request["keystone_token"]}}]
        masked = parse(request, "mount").masked()
        assert request["keystone_token"] not in masked
        assert "barbican" not in masked
        assert "target-1" in masked

    def test_its_repr_holds_no_secret(self):
        request = mount_request()
        assert request["keystone_token"] not in repr(parse(request, "mount"))

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=15,
        )
    )
    def test_any_document_is_accepted_or_refused_in_words(self, document: Any):
        with pytest.raises(RequestValidationException):
            parse(document, "mount")


class TestParseReply:
    def test_reads_a_success(self):
        reply = parse_reply(b'{"status": "success", "error_msg": null, "success_msg": "ok"}')
        assert reply is not None
        assert reply.succeeded

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\xff\xfe",
            b"[]",
            b'"success"',
            b'{"status": "success"}',
            b'{"status": "ok", "error_msg": null, "success_msg": null}',
            b'{"status": "success", "error_msg": null, "success_msg": 5}',
        ],
    )
    def test_anything_else_is_nothing(self, body: bytes):
        assert parse_reply(body) is None


class TestTheToken:
    """Only s3 needs it, for its secret; its key travels in any case."""

    def test_s3_needs_one(self):
        request = {**mount_request(), "keystone_token": ""}
        with pytest.raises(RequestValidationException, match="keystone_token is missing"):
            parse(request, "mount")

    @pytest.mark.parametrize("token", [None, "", "absent"])
    def test_nfs_does_not_and_its_key_travels(self, token: str | None):
        request = mount_request(type="nfs", filesystem_export="192.0.2.1:/x", secret_ref=None)
        request["keystone_token"] = token
        if token == "absent":
            del request["keystone_token"]
        assert parse(request, "mount").wire["keystone_token"] == ""
