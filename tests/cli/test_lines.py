"""The sink: blocks of lines come out whole, and are kept waiting by nothing."""

import os
import threading
from unittest.mock import patch

from memx.cli.lines import LineWriter


def test_lines_wait_for_no_thread_where_there_can_be_none() -> None:
    receiving, sending = os.pipe()
    refused = RuntimeError("can't start new thread")
    with (
        os.fdopen(receiving, "rb", buffering=0) as out,
        patch.object(threading.Thread, "start", side_effect=refused),
        LineWriter(sending, "a pipe") as writer,
    ):
        for line in (b"one\n", b"two\n"):
            writer.write(line)
            assert out.read(100) == line
    os.close(sending)
