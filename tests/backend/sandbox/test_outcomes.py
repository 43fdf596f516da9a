"""The AWS stand-in's thread in which runs end."""

import threading

from backend.sandbox.aws.outcome_simulator import OutcomeSimulator


def test_what_fails_in_it_holds_up_nothing_else() -> None:
    """As when everything is forgotten (`AwsStandIn.reset`) while lines are being written."""
    simulator, others = OutcomeSimulator("123456789012"), threading.Event()
    simulator.start()

    def forgotten() -> None:
        raise KeyError("the log group")

    simulator._at(0.0, forgotten)
    simulator._at(0.0, others.set)
    assert others.wait(60)
    simulator.stop()
