"""AC-3 and Enhanced AC-3: ETSI TS 102 366."""

from typing import NamedTuple

from memx.formats.video.codecs.bits import Bits
from memx.formats.video.packets.coding import Coding, NotKnown

_RATES = (48000, 44100, 32000)
_BIT_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_BLOCK = 256  # samples
_BLOCKS = (1, 2, 3, 6)
_DEPENDENT = 1  # strmtyp
SYNC, SWAPPED = b"\x0b\x77", b"\x77\x0b"
HEADER = 7
"""Bytes of a frame's header."""
FRAME_SAMPLES = 6 * _BLOCK
LAST_PLAIN = 10
"""Higher versions (bsid) are Enhanced AC-3."""
LAYOUTS = {
    # acmod, and whether there is a channel of bass: channels and name
    (1, 0): (1, "mono"),
    (2, 0): (2, "stereo"),
    (3, 0): (3, "3.0"),
    (4, 0): (3, "3.0(back)"),
    (5, 0): (4, "4.0"),
    (6, 0): (4, "quad(side)"),
    (7, 0): (5, "5.0(side)"),
    (2, 1): (3, "2.1"),
    (3, 1): (4, "3.1"),
    (5, 1): (5, "4.1"),
    (7, 1): (6, "5.1(side)"),
}


class Frame(NamedTuple):
    """A frame: its bytes, bits a second, and whether it only adds to the one before."""

    size: int
    bit_rate: int
    depends: bool


def frame(header: bytes) -> Frame | None:
    """The frame that `HEADER` bytes begin; None where they begin none (4.4.1, 4.4.2 and E.1.3.1).

    Its bytes may be swapped in pairs, as some recorders leave them.
    """
    if header[:2] == SWAPPED:
        header = bytes(header[at ^ 1] for at in range(6)) + header[6:]
    if header[:2] != SYNC or header[5] >> 3 > 16:
        return None
    if header[5] >> 3 > LAST_PLAIN:
        return _enhanced_frame(Bits(header[2:]))
    rate, code, shift = header[4] >> 6, header[4] & 63, max(8, header[5] >> 3) - 8
    if rate == 3 or code >= 2 * len(_BIT_RATES):
        return None
    bit_rate = _BIT_RATES[code >> 1] * 1000
    words = bit_rate * FRAME_SAMPLES // (16 * _RATES[rate]) + (code & 1 if _RATES[rate] == 44100 else 0)
    return Frame(2 * words, bit_rate >> shift, depends=False)


def _enhanced_frame(bits: Bits) -> Frame | None:
    kind, stream, size, rate, blocks = bits.take(2), bits.take(3), 2 * (bits.take(11) + 1), bits.take(2), bits.take(2)
    if kind == 3 or stream or size < HEADER or (rate == 3 and blocks == 3):
        return None  # FFmpeg takes none of further programmes either
    samples = FRAME_SAMPLES if rate == 3 else _BLOCKS[blocks] * _BLOCK
    return Frame(size, 8 * size * (_RATES[blocks] // 2 if rate == 3 else _RATES[rate]) // samples, kind == _DEPENDENT)


def coding(data: bytes, size: int) -> Coding:
    """The sound of a stream whose first packet, `size` bytes, begins with `data` (4.3, and E.1.2).

    NotKnown where it is no main service, or there is more than one frame in the packet.
    """
    if len(data) < 8 or data[:2] != b"\x0b\x77":
        raise NotKnown("AC-3 that does not begin with a frame")
    identity = data[5] >> 3
    if identity <= 8:
        return _ac3(data)
    if 10 < identity <= 16:
        return _enhanced(data, size)
    raise NotKnown("AC-3 of an unknown version")


def _ac3(data: bytes) -> Coding:
    bits = Bits(data[4:8])
    rate, size = bits.take(2), bits.take(6)
    shift = max(8, bits.take(5)) - 8
    if bits.take(3) or rate == 3 or size >= 2 * len(_BIT_RATES):
        raise NotKnown("AC-3 of an unknown rate, or not the main service")
    mode = bits.take(3)
    if mode & 1 and mode != 1:
        bits.skip(2)
    if mode & 4:
        bits.skip(2)
    if mode == 2 and bits.take(2) == 2:
        raise NotKnown("AC-3 with Dolby Surround")
    said = _layout(Coding("ac3", sample_rate=_RATES[rate] >> shift), mode, bits.take(1))
    said.bit_rate, said.frame_samples = _BIT_RATES[size >> 1] * 1000 >> shift, FRAME_SAMPLES
    return said


def _enhanced(data: bytes, size: int) -> Coding:
    bits = Bits(data[2:8])
    if bits.take(5):
        raise NotKnown("Enhanced AC-3 that does not begin with its main stream")
    length, rate, blocks = 2 * (bits.take(11) + 1), bits.take(2), bits.take(2)
    if rate == 3 or length != size:
        raise NotKnown("Enhanced AC-3 with several frames in a packet, or of half a rate")
    said = _layout(Coding("eac3", sample_rate=_RATES[rate]), bits.take(3), bits.take(1))
    said.frame_samples = _BLOCKS[blocks] * _BLOCK
    said.bit_rate = 8 * length * said.sample_rate // said.frame_samples
    return said


def _layout(said: Coding, mode: int, bass: int) -> Coding:
    said.channels, said.layout = LAYOUTS.get((mode, bass), (0, None))
    if not said.channels:
        raise NotKnown("AC-3 with an unusual layout")
    said.sample_fmt, said.intra_only = "fltp", True
    return said
