"""What the matrix consists of: which cells are run here, which are proven elsewhere."""

from dataclasses import dataclass
from itertools import product

#: What can be wrong with an outside system, and what that means here.
FAULTS = {
    "refused": "nothing listens at its address",
    "hanging": "it takes the request and never answers",
    "slow": "it answers late, or one byte at a time",
    "garbage": "a web page, or another protocol, answers",
    "401": "it refuses the token or password",
    "500": "it answers that it has failed itself",
    "dies": "the connection is cut in the middle",
}
#: Job: the outside systems it talks to.
JOBS = {
    "connections test": (
        "DataHub", "OpenMetadata", "Directory", "PostgreSQL", "Ledger", "RabbitMQ", "AWS",
    ),
    "user sync plan": ("Directory", "OpenMetadata"),
    "user sync apply": ("OpenMetadata",),
    "mount": ("RabbitMQ", "Ledger"),
    "tokenize": ("PostgreSQL",),
    "write-back": ("DataHub",),
    "ingestion run": ("DataHub", "AWS"),
}  # fmt: skip
#: What can be wrong with the portal's own database, for every job that writes.
STATE_FAULTS = {
    "locked": "another process holds the write lock of the state database",
    "disk full": "the state database cannot grow",
}
STATE_JOBS = (
    "page save", "user sync plan", "user sync apply", "mount", "tokenize", "write-back",
    "ingestion run",
)  # fmt: skip
#: What can be wrong with the portal's own processes, for every job that runs in one.
PROCESS_FAULTS = {"killed": "kill -9 of the app, worker or command that has the job"}
PROCESS_JOBS = (
    *STATE_JOBS[1:], "user sync revert", "unmount", "tokenize (rewrite)", "clean-up",
    "notifications",
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Cell:
    """One system, one fault, one job."""

    job: str
    system: str
    fault: str

    def __str__(self) -> str:
        return f"{self.job}, {self.system}, {self.fault}"


def all_cells() -> list[Cell]:
    """The whole matrix, in the order in which it is printed."""
    outside = [
        Cell(job, system, fault)
        for job, systems in JOBS.items()
        for system, fault in product(systems, FAULTS)
    ]
    inside = [
        Cell(job, "State database", fault) for fault, job in product(STATE_FAULTS, STATE_JOBS)
    ]
    processes = [
        Cell(job, "Process", fault) for fault, job in product(PROCESS_FAULTS, PROCESS_JOBS)
    ]
    return outside + inside + processes


def _cells(job: str, system: str, *faults: str) -> list[Cell]:
    return [Cell(job, system, fault) for fault in faults]


#: Run by the tests of this folder; each takes its faults from here.
RUN: list[Cell] = [
    *_cells("connections test", "PostgreSQL", "slow", "500", "dies"),
    *_cells("connections test", "Ledger", "slow", "500", "dies"),
    *_cells("connections test", "RabbitMQ", "slow", "500", "dies"),
    *_cells("connections test", "AWS", "hanging", "slow", "garbage", "500", "dies"),
    *_cells("user sync plan", "Directory", "hanging", "slow", "garbage", "401", "500", "dies"),
    *_cells("user sync plan", "OpenMetadata", "hanging", "slow", "garbage", "dies"),
    *_cells("user sync apply", "OpenMetadata", "hanging", "slow", "garbage"),
    *_cells("mount", "RabbitMQ", "refused", "hanging", "garbage", "401", "500"),
    *_cells("mount", "Ledger", "refused", "hanging", "slow", "garbage", "401", "500"),
    *_cells("tokenize", "PostgreSQL", "refused", "hanging", "slow", "garbage", "401", "500"),
    *_cells("write-back", "DataHub", "refused", "hanging", "slow", "garbage", "401", "dies"),
    *_cells("ingestion run", "DataHub", "hanging", "slow", "garbage", "401", "500", "dies"),
    *_cells("ingestion run", "AWS", "refused", "hanging", "slow", "garbage"),
    *[Cell(job, "State database", fault) for fault, job in product(STATE_FAULTS, STATE_JOBS)],
]

_PROBING = "tests/backend/connections/test_probing.py::"
_REAL = "tests/backend/connections/test_real_servers.py::"
_PLANNING = "tests/backend/user_sync/test_planning.py::TestWhatStopsPlanning::"
_APPLYING = "tests/backend/user_sync/test_applying.py::TestBadDays::"
_RUNS = "tests/backend/ingestion/test_runs.py::TestLambda::"
_REFUSED_START = _RUNS + "test_a_refused_start_is_a_failed_run_and_may_be_tried_again"
_NEVER_ENDS = _PROBING + "TestHttpServers::test_one_that_never_ends_its_answer_is_left"
_HTTP_PROBES = {
    "refused": _PROBING + "TestUnreachable::test_a_closed_port_is_said",
    "hanging": _NEVER_ENDS,
    "slow": _NEVER_ENDS,
    "garbage": _PROBING + "TestHttpServers::test_html_is_recognised_as_a_wrong_address",
    "401": _PROBING + "TestHttpServers::test_a_refused_token_is_said",
    "500": _PROBING + "TestHttpServers::test_a_failing_server_is_said_with_its_status",
    "dies": _PROBING + "TestHttpServers::test_one_that_hangs_up",
}
_SOCKET_PROBES = {
    "refused": _PROBING + "TestUnreachable::test_a_closed_port_is_said",
    "hanging": _PROBING + "TestOtherServers::test_one_that_accepts_and_never_answers_is_left",
    "garbage": _PROBING + "TestOtherServers::test_a_web_server_on_that_port_is_not_a_success",
}
_WRONG_PASSWORD = {
    "PostgreSQL": _REAL + "TestPostgres::test_broken_says_why",
    "Ledger": _REAL + "TestLedger::test_a_wrong_password_is_said",
    "RabbitMQ": _REAL + "TestRabbitMQ::test_a_wrong_password_is_said",
}
_KILLED = "tests/faults/test_killed_writes.py::"
_AWS_PROBE = "tests/backend/integrations/aws/test_probe.py::"

#: Proven by the room's own tests: not repeated, named.
PROVEN: dict[Cell, str] = {
    **{
        Cell("connections test", system, fault): test
        for system in ("DataHub", "OpenMetadata", "Directory")
        for fault, test in _HTTP_PROBES.items()
    },
    **{
        Cell("connections test", system, fault): test
        for system in ("PostgreSQL", "Ledger", "RabbitMQ")
        for fault, test in _SOCKET_PROBES.items()
    },
    **{Cell("connections test", system, "401"): test for system, test in _WRONG_PASSWORD.items()},
    Cell("connections test", "AWS", "refused"): (
        _AWS_PROBE + "test_an_unreachable_endpoint_is_a_result_and_no_error"
    ),
    Cell("connections test", "AWS", "401"): (
        _AWS_PROBE + "test_refused_credentials_have_cause_and_advice"
    ),
    Cell("user sync plan", "Directory", "refused"): _PLANNING + "test_a_directory_that_is_down",
    Cell("user sync plan", "OpenMetadata", "refused"): _PLANNING + "test_openmetadata_down",
    Cell("user sync plan", "OpenMetadata", "401"): _PLANNING + "test_an_expired_token",
    Cell("user sync plan", "OpenMetadata", "500"): (
        _PLANNING + "test_openmetadata_failing_after_the_first_page"
    ),
    Cell("user sync apply", "OpenMetadata", "refused"): (
        _APPLYING + "test_the_server_gone_altogether"
    ),
    Cell("user sync apply", "OpenMetadata", "401"): (
        _APPLYING + "test_a_token_that_expires_midway_stops_with_the_time"
    ),
    Cell("user sync apply", "OpenMetadata", "500"): (
        _APPLYING + "test_openmetadata_down_in_the_middle_stops_and_can_be_continued"
    ),
    Cell("user sync apply", "OpenMetadata", "dies"): (
        _APPLYING + "test_a_dropped_connection_is_read_back"
    ),
    Cell("mount", "RabbitMQ", "slow"): (
        "tests/backend/dms/test_client.py::TestTimeout::"
        "test_no_answer_in_time_is_unknown_and_not_mounted"
    ),
    Cell("mount", "RabbitMQ", "dies"): (
        "tests/backend/dms/test_bad_days.py::TestTheBroker::"
        "test_a_broker_restarted_in_the_middle_of_a_call"
    ),
    Cell("mount", "Ledger", "dies"): (
        "tests/backend/dms/test_bad_days.py::TestTheLedgersDatabase::"
        "test_mariadb_away_when_the_reply_comes_is_healed_by_a_recheck"
    ),
    Cell("tokenize", "PostgreSQL", "dies"): (
        "tests/backend/tokenization/test_killed.py::"
        "test_a_server_restart_in_the_middle_rolls_back_and_says_so"
    ),
    Cell("write-back", "DataHub", "500"): (
        "tests/backend/tokenization/test_write_back.py::TestWriteBack::"
        "test_datahub_down_is_retried_apart_and_the_data_stays_done"
    ),
    Cell("ingestion run", "DataHub", "refused"): (
        "tests/backend/ingestion/test_resolve.py::"
        "TestOrder::test_datahub_down_is_an_error_and_not_a_later_rule"
    ),
    Cell("user sync plan", "Process", "killed"): (
        _KILLED + "test_a_plan_of_the_user_sync_is_whole_or_is_not_there"
    ),
    Cell("user sync apply", "Process", "killed"): (
        _KILLED + "test_a_run_of_the_user_sync_writes_each_person_once"
    ),
    Cell("mount", "Process", "killed"): (
        "tests/backend/dms/test_bad_days.py::TestKilled::test_a_mount"
    ),
    Cell("unmount", "Process", "killed"): (
        "tests/backend/dms/test_bad_days.py::TestKilled::test_an_unmount"
    ),
    Cell("tokenize (rewrite)", "Process", "killed"): (
        "tests/backend/tokenization/test_rewrite_mode_killed.py::"
        "test_killed_at_any_moment_the_table_is_as_it_was"
    ),
    Cell("clean-up", "Process", "killed"): (
        "tests/faults/test_killed.py::test_a_clean_up_loses_no_row_and_archives_none_twice"
    ),
    Cell("notifications", "Process", "killed"): (
        "tests/faults/test_killed.py::"
        "test_notifications_all_arrive_and_twice_only_where_the_sender_died"
    ),
    Cell("tokenize", "Process", "killed"): (
        "tests/backend/tokenization/test_killed.py::"
        "test_at_twenty_random_instants_the_table_is_whole_and_the_next_start_says_what_happened"
    ),
    Cell("write-back", "Process", "killed"): (
        _KILLED + "test_a_write_back_says_it_once_and_keeps_what_others_wrote"
    ),
    Cell("ingestion run", "Process", "killed"): (
        _KILLED + "test_an_ingestion_is_started_once_or_said_never_to_have_arrived"
    ),
    Cell("user sync revert", "Process", "killed"): (
        _KILLED + "test_a_revert_takes_each_change_back_once"
    ),
    Cell("ingestion run", "AWS", "401"): _REFUSED_START,
    Cell("ingestion run", "AWS", "500"): _REFUSED_START,
    Cell("ingestion run", "AWS", "dies"): (
        _RUNS + "test_a_lost_answer_is_unknown_and_the_dataset_stays_taken"
    ),
}


def faults(job: str, system: str) -> list[str]:
    """The faults that this folder's tests inject into the system under the job."""
    return [cell.fault for cell in RUN if (cell.job, cell.system) == (job, system)]
