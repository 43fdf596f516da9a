"""pika's connection, sparing with system calls."""

from collections.abc import Sequence

from pika.adapters.select_connection import SelectConnection


class JoiningConnection(SelectConnection):
    """Gives the frames of one message to the socket in one piece, not in three small packets.

    The hook is pika's own; should a later pika not call it any more, only the speed is lost.
    """

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        super()._output_marshaled_frames([b"".join(marshaled_frames)])
