"""Waiting for what another process says."""

import select
from collections.abc import Iterable


def wait_for(descriptors: Iterable[int], seconds: float) -> bool:
    """Whether one of `descriptors` can be read, or its other end is closed, at last after `seconds`.

    By poll(2), which takes any descriptor: select(2) takes none from 1024 on.
    """
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * max(0.0, seconds)))
