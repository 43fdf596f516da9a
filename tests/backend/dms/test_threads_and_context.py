"""One client for many threads, the mount context, closing; the same on both transports."""

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.dms import client as module
from backend.dms.client import DMSClient, DMSClientException, MountContext, RabbitMQException
from tests.fixtures.dms_responder import mount_request

Start = Callable[..., Any]


def _mounted(client: DMSClient) -> list[tuple[int, str, str]]:
    return [(e.jobid, e.backup_target_id, e.host) for e in client.get_active_mounts()]


class TestManyThreads:
    def test_eight_threads_share_one_client(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        for number in range(4):
            start_responder(broker_url, f"compute-0{number}")
        client = start_client(broker_url, 60.0)
        failures: list[Any] = []

        def work(number: int) -> None:
            for turn in range(5):
                request = mount_request(
                    jobid=number, target=f"t{number}-{turn}", host=f"compute-0{number % 4}"
                )
                for step in (client.mount, client.unmount):
                    response = step(request)
                    if response["outcome"] != "replied":
                        failures.append(response)

        _together(work, 8)
        assert failures == []
        assert _mounted(client) == []

    def test_threads_on_one_pair_agree(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url, 60.0)
        _together(lambda n: client.mount(mount_request(jobid=n)), 8)
        assert server.actions == ["mount"]
        assert len(_mounted(client)) == 8
        _together(lambda n: client.unmount(mount_request(jobid=n)), 8)
        assert server.actions == ["mount", "unmount"]
        assert _mounted(client) == []


class TestMountContext:
    def test_is_mounted_inside_and_unmounted_after(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        request = mount_request()
        del request["action"]
        with MountContext(client, request) as mount:
            assert mount.get_mount_path() == "/var/lib/trilio/triliovault-mounts/target-1"
            assert server.mounted == {"target-1"}
        assert server.mounted == set()
        with pytest.raises(DMSClientException):
            mount.get_mount_path()

    def test_unmounts_when_the_body_fails_and_passes_the_failure_on(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        with pytest.raises(ZeroDivisionError), MountContext(client, mount_request()):
            raise ZeroDivisionError
        assert server.mounted == set()

    def test_unmounts_what_it_mounted_whatever_becomes_of_the_callers_dict(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        request = mount_request()
        with MountContext(client, request):
            request["job"]["jobid"] = 99
            request["backup_target"].clear()
        assert server.mounted == set()
        assert _mounted(client) == []

    def test_raises_when_the_mount_failed(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        server.mode = "refuse"
        with (
            pytest.raises(DMSClientException, match="permission denied"),
            MountContext(client, mount_request()),
        ):
            pytest.fail("the body must not run")
        assert server.actions == ["mount"]

    def test_a_failing_unmount_does_not_hide_a_finished_backup(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        with MountContext(client, mount_request()) as mount:
            server.mode = "refuse"
        assert mount.unmount_response["status"] == "error"
        assert len(_mounted(client)) == 1


class TestClosing:
    def test_a_closed_client_says_so(self, broker_url: str, start_client: Start):
        client = start_client(broker_url)
        client.close()
        client.close()
        calls: list[Callable[[], object]] = [
            lambda: client.mount(mount_request()),
            lambda: client.unmount(mount_request()),
            lambda: client.verify(mount_request()),
            lambda: client.recheck("op-1"),
            lambda: client.get_mount_status(401, "target-1"),
            client.get_active_mounts,
            lambda: client.get_ledger_history("target-1"),
            lambda: client.soft_delete_entry(401, "target-1"),
            lambda: MountContext(client, mount_request()).__enter__(),
        ]
        for call in calls:
            with pytest.raises(DMSClientException, match="This DMS client is closed"):
                call()

    def test_a_client_without_a_broker_reads_the_ledger(self, start_client: Start):
        client = start_client("")
        assert client.get_active_mounts() == []
        with pytest.raises(RabbitMQException, match="No broker"):
            client.mount(mount_request())

    def test_one_that_the_collector_finds_in_its_own_thread_is_closed_by_another(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """It may be in the middle of what closing waits for."""
        own, closed = threading.Lock(), threading.Event()

        class Transport:
            def close(self, *, keep_replies: bool) -> None:
                assert not keep_replies
                with own:
                    closed.set()

        def collect() -> None:
            with own:
                gc.collect()

        monkeypatch.setattr(module, "open_transport", lambda *_args, **_kwargs: Transport())
        gc.disable()
        try:
            client: Any = DMSClient(f"sqlite:///{tmp_path / 'ledger.sqlite'}", "amqp://broker/", 60)
            client.itself = client
            del client
            thread = threading.Thread(target=collect, daemon=True)
            thread.start()
            thread.join(60)
        finally:
            gc.enable()
        assert not thread.is_alive()
        assert closed.wait(60)


def _together(work: Callable[[int], object], count: int) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
