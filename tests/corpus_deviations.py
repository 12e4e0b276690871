"""Where memx and an oracle, or the index of the corpus, differ and memx is held to be right: file by file.

The key is the path inside the corpus folder; the value says which differences are meant (a regular expression
that is searched in each) and why they stand. An entry that matches nothing any more fails the corpus test.
"""

from typing import NamedTuple


class Deviation(NamedTuple):
    """A difference that stands."""

    pattern: str
    reason: str


DEVIATIONS: dict[str, Deviation] = {}
