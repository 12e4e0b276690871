"""Uncompressed sound, read from its file directly: no library but NumPy."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memx.errors import TruncatedFile
from memx.formats.audio.chunks import cut_off
from memx.formats.audio.framing import FrameMeter, HopMeter, lines_of
from memx.formats.audio.headers import Pcm, find_pcm
from memx.formats.audio.samples import MARGIN, Decoder, full_scale
from memx.formats.audio.tags import Tags, read_tags
from memx.formats.base import BelongsTo, StreamReader
from memx.formats.lane import Lane
from memx.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = (1 << 20) - 2 * MARGIN
"""Bytes that are read at once at most, margins apart. Two threads share the interpreter's lock, and wait for it at
the end of every block: half of this, though it would fit the cache of a processor, takes a fourth longer.
"""


class PcmStreamReader(StreamReader):
    """The `stream` record, then the `frame` records of what is uncompressed in a file.

    Fields, tags and levels are those that `AudioStreamReader` gives of the same file: it takes over, by
    BelongsTo, where the headers say anything that `find_pcm` does not know.
    """

    format = "audio"
    access = "seek"
    _pcm: Pcm
    _tags: Tags

    def open(self) -> dict[str, Any]:
        pcm = find_pcm(self.source)
        if pcm is None:
            raise BelongsTo("audio")
        tags = read_tags(self.source, self.options.max_value_bytes) if pcm.container == "wav" else Tags(0)
        if tags is None:
            raise BelongsTo("audio")
        self._pcm, self._tags = pcm, tags
        return {}

    def records(self) -> Iterator[Record]:
        yield self._stream()
        for frames in self._frames():
            yield from frames
        self._check_end()

    def blocks(self) -> Iterator[Record | bytes]:
        yield self._stream()
        yield from map(lines_of, filter(None, self._frames()))
        self._check_end()

    def _stream(self) -> Record:
        pcm, pictures = self._pcm, self._tags.pictures
        samples = pcm.length // pcm.width
        return {
            "type": "stream",
            "index": 0,
            "codec": pcm.codec,
            "sample_rate": pcm.sample_rate,
            "channels": pcm.channels,
            "channel_layout": {1: "mono", 2: "stereo"}.get(pcm.channels),
            "bits_per_sample": pcm.bits,
            "bit_rate": pcm.sample_rate * pcm.width * 8,
            "samples": samples,
            "duration_s": samples / pcm.sample_rate,
            "container": pcm.container,
            "tags": self._tags.tags,
            **({"pictures": pictures} if pictures else {}),
        }

    def _frames(self) -> Iterator[list[Record]]:
        """The `frame` records, as many at a time as a block completes."""
        pcm, options = self._pcm, self.options
        if options.summary:
            return
        meter = FrameMeter(
            pcm.channels, pcm.sample_rate, options.frame_length, options.hop_length, full_scale=full_scale(pcm.kind)
        )
        for samples, energies in self._measured(meter.hops):
            yield meter.join(energies, samples)
        yield meter.finish()
        announced = pcm.length // pcm.width
        if meter.samples < announced:  # the file became shorter meanwhile
            raise TruncatedFile(f"the sound ends after {meter.samples} of the {announced} samples announced")

    def _measured(self, hops: HopMeter) -> Iterator["tuple[int, NDArray[Any]]"]:
        """How many samples of a channel each block has, and the energies of the hops that it completes.

        One block is measured, in a thread, while the next is read and the records of the one before are made.
        """
        pcm, source, options = self._pcm, self.source, self.options
        decode = Decoder(pcm)

        def measure(task: tuple[memoryview, int]) -> "tuple[int, NDArray[Any]]":
            block = decode(*task)
            return block.shape[1], hops.add(block)

        size, left = self._block_size(), pcm.length
        source.seek(pcm.offset)
        with options.lend(size + 2 * MARGIN) as one, options.lend(size + 2 * MARGIN) as other, Lane(measure) as lane:
            buffers = [one, other]
            while left >= pcm.width:
                most = options.current_chunk_size() if options.current_chunk_size else size
                want = min(left, size, max(pcm.width, most // pcm.width * pcm.width))
                got = source.readinto(buffers[0][MARGIN : MARGIN + want])
                left = left - got if got == want else 0
                lane.put((buffers[0], got // pcm.width * pcm.width))
                buffers.reverse()
                if lane.waiting == len(buffers):
                    yield lane.take()
            while lane.waiting:
                yield lane.take()

    def _block_size(self) -> int:
        """Bytes of a block: of whole hops where they are small."""
        pcm = self._pcm
        hop = pcm.width * self.options.hop_length
        most = max(pcm.width, min(BLOCK, self.options.chunk_size))
        return most // hop * hop or most // pcm.width * pcm.width

    def _check_end(self) -> None:
        if (cut := cut_off(self.source)) is not None:
            raise cut
