"""The kinds of H.264 pictures: ISO/IEC 14496-10, and its configuration record, ISO/IEC 14496-15, 5.3.3.1."""

from memx.formats.video.codecs import avc
from memx.formats.video.codecs.bits import Bits, unescaped
from memx.formats.video.packets.coding import Coding, NotKnown

_SLICE, _IDR, _SEI, _SPS, _PPS = 1, 5, 6, 7, 8
_CODE = b"\0\0\1"
_RECOVERY_POINT = 6
BEGIN = 6
"""Bytes of a packet that tell its kind, where it begins with a slice."""
_MOST_HEADER = 1 << 12
"""So much of a packet is looked at for its first slice."""
_SLICE_HEADER = 16
_MORE = 64
_I, _B = 2, 1  # slice_type, modulo 5
_UNSURE = 255


def _quick(first: int) -> int:
    """The kind by the first byte of a slice's header; not for I slices, and not behind the first macroblock."""
    bits = Bits(bytes((first,)))
    begins, kind = bits.ue() == 0, bits.ue() % 5
    return _UNSURE if bits.over or not begins or kind not in (0, _B) else 2 * (kind == _B)


_QUICK = bytes(map(_quick, range(256)))


def coding(record: bytes, full_range: bool | None = None) -> "tuple[Coding, Pictures]":
    """What a configuration record says, and what tells the kinds of pictures behind it.

    NotKnown where there are no parameter sets, or where they do not say how many pictures are held back: FFmpeg
    then decodes the first ones to see.
    """
    found = avc.configuration(record, full_range=full_range)
    if found is None or record[:1] != b"\1" or len(record) < 7 or record[5] & 31 != 1:
        raise NotKnown("H.264 without one sequence parameter set")
    if found.reorder is None and not (found.profile or "").endswith("Baseline"):
        raise NotKnown("H.264 that does not say how its pictures are reordered")
    return Coding.of("h264", found, fields=True), Pictures(record, found.references)


def unordered(sets: bytes) -> "tuple[Coding, Pictures]":
    """The same where pictures have no times at which they are shown: how they are reordered then does not matter.

    `sets` is a configuration record, or begins with parameter sets behind start codes (ISO/IEC 14496-10, annex B).
    """
    behind_codes = sets[:1] != b"\1"
    record = _record(sets) if behind_codes else sets
    found = avc.configuration(record)
    if found is None or len(record) < 7 or record[5] & 31 != 1:
        raise NotKnown("H.264 without one sequence parameter set")
    said, kind = Coding.of("h264", found, fields=True), PicturesBehindCodes if behind_codes else Pictures
    return said, kind(record, found.references)


def _record(stream: bytes) -> bytes:
    """The configuration record of the parameter sets that `stream` begins with (ISO/IEC 14496-15, 5.3.3.1.2)."""
    sets: dict[int, list[bytes]] = {_SPS: [], _PPS: []}
    for unit in stream.split(_CODE)[1:]:
        kind = unit[0] & 31 if unit else 0
        if kind in (_SLICE, _IDR):
            break
        if kind in sets:
            sets[kind].append(unit.rstrip(b"\0"))
    first = sets[_SPS][0] if sets[_SPS] else bytes(4)
    parts = [b"\1", first[1:4], bytes((0xFF, 0xE0 | len(sets[_SPS]) & 31))]
    parts += [len(unit).to_bytes(2, "big") + unit for unit in sets[_SPS]]
    parts += [bytes((len(sets[_PPS]) & 255,))]
    parts += [len(unit).to_bytes(2, "big") + unit for unit in sets[_PPS]]
    return b"".join(parts)


class Pictures:
    """Tells of each packet whether it is a key frame, as FFmpeg's parser does: by its NAL units up to a slice."""

    def __init__(self, record: bytes, references: int) -> None:
        self._length = (record[4] & 3) + 1
        self._single = frozenset(_single_reference_sets(record)) if references <= 1 else frozenset()

    def look(self, data: bytes, at: int, size: int) -> int:
        """0: another, 1: a key frame, 2: a B picture; -n: n bytes of the packet are needed."""
        length, start, recovery = self._length, 0, False
        while start < _MOST_HEADER:
            unit = start + length
            if unit + 1 >= size:
                return 0
            if at + unit + 1 >= len(data):
                return -unit - 2
            width = int.from_bytes(data[at + start : at + unit], "big")
            if not 0 < width <= size - unit:
                return 0
            kind = data[at + unit] & 31
            if kind == _SLICE and (quick := _QUICK[data[at + unit + 1]]) != _UNSURE:
                return 1 if recovery else quick
            if kind == _IDR:
                return 1
            if kind == _SLICE or (kind == _SEI and not recovery):
                end = min(unit + width, unit + _SLICE_HEADER if kind == _SLICE else start + _MOST_HEADER)
                if at + end > len(data):
                    return -end
                body = unescaped(data[at + unit + 1 : at + end])
                if kind == _SLICE:
                    return self._slice(body, recovery)
                recovery = _has_recovery_point(body)
            start = unit + width
        return 0

    def _slice(self, header: bytes, recovery: bool) -> int:
        """By the beginning of a slice's header (7.3.3)."""
        bits = Bits(header)
        bits.ue()
        kind = bits.ue() % 5
        if recovery or (kind == _I and bits.ue() in self._single):  # nothing before it can be needed
            return 1
        return 2 if kind == _B else 0


class PicturesBehindCodes(Pictures):
    """The same where start codes part the NAL units."""

    def look(self, data: bytes, at: int, size: int) -> int:
        """As in `Pictures`."""
        have, most, recovery = at + min(len(data) - at, size), at + min(size, _MOST_HEADER), False
        unit = data.find(_CODE, at, have) + 3
        while unit >= 3 and unit + 1 < have:
            kind = data[unit] & 31
            if kind == _SLICE and (quick := _QUICK[data[unit + 1]]) != _UNSURE:
                return 1 if recovery else quick
            if kind == _IDR:
                return 1
            following = data.find(_CODE, unit, have)
            end = have if following < 0 else following
            if kind == _SLICE:
                if end - unit < _SLICE_HEADER and end == have < at + size:
                    return -min(size, unit - at + _SLICE_HEADER)
                return self._slice(unescaped(data[unit + 1 : min(end, unit + _SLICE_HEADER)]), recovery)
            if kind == _SEI and not recovery and (following >= 0 or have >= most):
                recovery = _has_recovery_point(unescaped(data[unit + 1 : end]))
            unit = following + 3
        return 0 if have >= most else -min(most - at, max(_MORE, 4 * (have - at)))


def _single_reference_sets(record: bytes) -> list[int]:
    """The numbers of the picture parameter sets under which a slice refers to one picture by default (7.3.2.2)."""
    at = 8 + int.from_bytes(record[6:8], "big")
    found = []
    for _ in range(record[at] if at < len(record) else 0):
        length = int.from_bytes(record[at + 1 : at + 3], "big")
        bits = Bits(unescaped(record[at + 4 : at + 3 + length]))
        number = bits.ue()
        bits.ue()
        bits.skip(2)
        if bits.ue():
            raise NotKnown("H.264 with slice groups")
        if bits.ue() == 0:
            found.append(number)
        at += 2 + length
    return found


def _has_recovery_point(messages: bytes) -> bool:
    """Whether a recovery point is among the messages of a supplemental enhancement NAL unit (7.3.2.3)."""
    at = 0
    while at + 2 < len(messages):
        numbers = []
        for _ in range(2):
            number = 0
            while at < len(messages) and messages[at] == 255:
                number, at = number + 255, at + 1
            if at >= len(messages):
                return False
            numbers.append(number + messages[at])
            at += 1
        if numbers[0] == _RECOVERY_POINT:
            return True
        at += numbers[1]
    return False
