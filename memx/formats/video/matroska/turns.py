"""Packets told by two processes in turns: one stretch of clusters by this one, the next by its companion.

A cluster can be read without those before it but for one thing: the times of the pictures that are held back for their
order. So whoever tells a stretch reads the cluster before it too, without a word, and says how these times stood where
it began, and where it ended. What it told is taken where they stand so here; else it is told here, again. So it is for
stretches with anything in them that is not as most are. What comes out is what one process alone would tell.
"""

from collections.abc import Callable, Iterator
from typing import Any

from memx.formats.base import Companion
from memx.formats.video.gathering import gathered
from memx.formats.video.matroska.clusters import Clusters, Stretch
from memx.formats.video.matroska.demuxer import Demuxer

_LENGTH = 1 << 18
"""Bytes of lines that a stretch should have: some milliseconds' work."""
_WORTH = 1 << 22
"""For so many bytes of lines another process is worth being started."""
_MOST = 1 << 22
"""Bytes of lines of a stretch; one that has more is not told by a companion."""
_PATIENCE = 8
"""After so many stretches of which its companion told nothing, one after the other, this process goes on alone."""


class Turns:
    """The lines of a demuxer's packets; `density` is how many bytes of them there are for one of the file, about."""

    def __init__(self, demuxer: Demuxer, clusters: Clusters, density: float) -> None:
        self._demuxer = demuxer
        self._clusters = clusters
        self._density = density

    def blocks(self, accompany: Callable[[], Companion | None] | None) -> Iterator[bytes]:
        """The lines of all packets that are left, many at a time."""
        if accompany is not None and self._clusters.left * self._density >= _WORTH:
            companion = accompany()
            if companion is not None:
                yield from self._in_turns(companion)
        self._clusters.end_at(None)
        yield from gathered(self._demuxer.add_lines)

    def tell(self, question: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """A companion's part: the lines from `begin` to `end`, and the times held back `before` and `after` them.

        With these it says how far subtitles `passed` in them. The cluster at `warm` is read before. Nothing is said of
        what is not as most are.
        """
        demuxer = self._demuxer
        if demuxer.held_back():
            demuxer.go_on(question["warm"], question["begin"])
            for _ in gathered(demuxer.add_lines):
                pass
        demuxer.go_on(question["begin"], question["end"])
        before, odd = [list(times) for times in demuxer.held_back()], demuxer.odd
        demuxer.forget_passed()
        blocks, room = [], _MOST
        for block in gathered(demuxer.add_lines):
            blocks.append(block)
            room -= len(block)
            if room < 0 or demuxer.odd != odd:
                break
        whole = self._clusters.at == question["end"] and room >= 0
        if not whole or demuxer.odd != odd or demuxer.faults:
            return {}, []
        return {"before": before, "after": demuxer.held_back(), "passed": demuxer.passed}, blocks

    def _in_turns(self, companion: Companion) -> Iterator[bytes]:
        """The lines up to where nothing more can be shared."""
        clusters, demuxer, in_vain = self._clusters, self._demuxer, 0
        while in_vain < _PATIENCE and (mine := self._stretch(clusters.boundary)) is not None:
            theirs = self._stretch(mine.end)
            asked = theirs is not None and companion.ask({"warm": mine.last, "begin": theirs.begin, "end": theirs.end})
            clusters.end_at(mine.end)
            length = 0
            for block in gathered(demuxer.add_lines):
                length += len(block)
                yield block
            if clusters.at != mine.end:
                return  # damage: where to go on was found out there
            self._density = max(1, length) / (mine.end - mine.begin)
            if not asked or theirs is None:
                continue
            answer = companion.answer()
            if answer is None:
                return
            said, blocks = answer
            if said and said["before"] == demuxer.held_back():
                demuxer.go_on(theirs.end, None)
                demuxer.pass_by(said["after"], said["passed"])
                yield from blocks
                in_vain = 0
            else:
                in_vain += 1

    def _stretch(self, begin: int | None) -> Stretch | None:
        """The stretch from `begin` on; None at the end, and where only a reader of it can say where it ends."""
        return self._clusters.ahead(begin, int(_LENGTH / self._density))
