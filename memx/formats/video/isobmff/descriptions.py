"""Sample descriptions: `stsd`, its entries and the boxes in them.

ISO/IEC 14496-12, 8.5.2 and 12; ISO/IEC 14496-14, 6.7; ISO/IEC 14496-15; QuickTime File Format, "Media Data Atom Types";
ETSI TS 102 366, F; RFC 9639 in ISO BMFF; Opus in ISO BMFF.
"""

import struct
from collections.abc import Callable
from typing import ClassVar

from memx.errors import CorruptFile
from memx.formats.base import BelongsTo
from memx.formats.video.isobmff.boxes import Box, Space, boxes
from memx.formats.video.isobmff.metadata import mac_roman
from memx.formats.video.isobmff.model import Movie, Track
from memx.formats.video.isobmff.names import DATA, OBJECT_TYPES, PCM_BITS, SOUND, TEXT, VIDEO, four_characters
from memx.formats.video.isobmff.sound import (
    AC3_CHANNELS,
    AC3_LAYOUTS,
    AC3_RATES,
    AC3_WITH_BASS,
    LAYOUT_MASKS,
    LAYOUT_TAGS,
    aac,
)
from memx.records import text

_MOST_ENTRIES = 1024
_LONGEST_CONFIG = 1 << 20
_RATE_OF_CODE = {"amr_nb": 8000, "amr_wb": 16000}
_LITTLE = {f"pcm_{kind}be": f"pcm_{kind}le" for kind in ("s16", "s24", "s32", "f32", "f64")}
_OLD_PACKETS = {"mace3": (6, 2), "mace6": (6, 1), "adpcm_ima_qt": (64, 34), "gsm": (160, 33)}
"""Samples of a packet and its bytes a channel, of codecs older than the fields for them."""
_UNKNOWN = frozenset(("dvaudio", "mpeg1video", "vc1"))
"""Codecs whose packets FFmpeg makes up of parts of samples."""
_MIXED = frozenset((b"apcn", b"apch", b"dvpp", b"dvcp", b"jpeg"))
"""Formats beside which FFmpeg takes descriptions of others."""
_WAVE_FORMATS = {0x55: "mp3", 0x160: "wmav1", 0x161: "wmav2", 0x162: "wmapro", 0x163: "wmalossless"}
_BITS = frozenset((1, 2, 4, 8))


class DescriptionReader:
    """Reads the sample descriptions of one track into it.

    Raises CorruptFile; BelongsTo("video") where FFmpeg has to be asked, because it makes other streams or packets
    of the samples than those of the tables.
    """

    def __init__(self, movie: Movie, track: Track) -> None:
        self._movie = movie
        self._track = track
        self._version = 0

    def read(self, space: Space, box: Box) -> None:
        """The `stsd` box: its first entry describes, others must be of the same format to count."""
        track = self._track
        if box.size < 8:
            raise CorruptFile("a box of sample descriptions is too short", offset=box.at)
        self._version, count = space.number(box.body, 1), space.number(box.body + 4, 4)
        if not 0 < count <= min(box.size // 8, _MOST_ENTRIES):
            raise CorruptFile(f"there are said to be {count} sample descriptions", offset=box.at)
        at = box.body + 8
        for number in range(count):
            if at + 8 > box.end:
                break
            length, kind = space.number(at, 4), space.read(at + 4, 4)
            if length < 8:
                raise CorruptFile("a sample description is shorter than its header", offset=at)
            entry = Box(kind, at, min(at + 16, box.end), min(at + length, box.end))
            track.entries += 1
            if not any(track.tag) or kind == track.tag or track.tag in _MIXED:
                track.entry = None if any(track.tag) else number
                config, track.config = track.config, b""
                self._entry(space, entry)
                track.config = config if number else track.config
            at = entry.end
        self._finish()

    def _entry(self, space: Space, entry: Box) -> None:
        track = self._track
        self._name(entry.kind)
        if track.kind == "video":
            at = self._picture(space, entry)
        elif track.kind == "audio":
            at = self._sound(space, entry)
        elif track.kind == "subtitle":
            track.coded_width, track.coded_height = track.width, track.height
            at = entry.end if entry.kind != b"mp4s" else entry.body
        else:
            at = self._data(space, entry)
        self._extensions(space, Box(entry.kind, entry.at, at, entry.end))

    def _name(self, kind: bytes) -> None:
        """The codec by the sample entry, and with it the kind of stream where no handler said it."""
        track = self._track
        sound = SOUND.get(kind)
        if sound is None and kind[:2] in (b"ms", b"TS"):
            sound = SOUND.get(b"ms" + kind[2:])
        codec = sound
        if track.kind != "video" and sound is not None:
            track.kind = "audio"
        elif track.kind != "audio" and any(kind) and kind != b"mp4s":
            codec = VIDEO.get(kind)
            if codec is not None:
                track.kind = "video"
            elif track.kind == "data" or (track.kind == "subtitle" and track.codec is None):
                codec = TEXT.get(kind)
                if codec is not None:
                    track.kind = "subtitle"
                else:
                    codec = DATA.get(kind)
        track.codec, track.tag, track.format = codec, kind, kind

    def _picture(self, space: Space, entry: Box) -> int:
        """A visual sample entry (12.1.3); where its boxes begin."""
        track = self._track
        data = space.read(entry.body, min(70, max(0, entry.end - entry.body)))
        if len(data) < 70:
            return entry.end
        if not self._movie.isom:
            track.tags.put("vendor_id", four_characters(data[4:8]))
        track.coded_width, track.coded_height = struct.unpack(">HH", data[16:20])
        name = data[35 : 35 + min(data[34], 31)].split(b"\0")[0]
        if name:
            track.tags.put("encoder", mac_roman(name))
        if name.startswith(b"Planar Y'CbCr 8-bit 4:2:0"):
            track.tag = b"I420"
            track.coded_width, track.coded_height = track.coded_width & ~1, track.coded_height & ~1
        if entry.kind == b"H263" and name.startswith(b"Sorenson H263"):
            track.codec = "flv1"
        track.depth, table = struct.unpack(">HH", data[66:70])
        at = entry.body + 70
        if track.depth & 0x1F in _BITS and not track.depth & 0x20:
            track.palette = True
            if table == 0:
                if at + 8 > entry.end:
                    return entry.end
                last = space.number(at + 6, 2)
                at += 8 + 8 * (last + 1) if last <= 255 else 8
        return min(at, entry.end)

    def _sound(self, space: Space, entry: Box) -> int:
        """An audio sample entry (12.2.3), or one of QuickTime's versions 0, 1 and 2; where its boxes begin."""
        track, at = self._track, entry.body + 20
        data = space.read(entry.body, min(56, max(0, entry.end - entry.body)))
        if len(data) < 20:
            return entry.end
        version, vendor = int.from_bytes(data[:2], "big"), data[4:8]
        if not self._movie.isom:
            track.tags.put("vendor_id", four_characters(vendor))
        track.channels, track.depth = struct.unpack(">HH", data[8:12])
        track.sample_rate = int.from_bytes(data[16:18], "big")
        if not self._movie.isom or self._movie.qt_compatible or (self._version == 0 and version > 0):
            if version == 1 and len(data) >= 36:
                track.samples_per_frame, _, track.bytes_per_frame = struct.unpack(">III", data[20:32])
                at += 16
            elif version == 2 and len(data) == 56:
                rate, track.channels, _, track.depth, flags = struct.unpack(">dIIII", data[24:48])
                track.sample_rate = int(rate) if 0 <= rate < 1 << 31 else 0
                track.bytes_per_frame, track.samples_per_frame = struct.unpack(">II", data[48:56])
                if entry.kind == b"lpcm":
                    track.codec = _linear(track.depth, flags)
                at += 36
        if track.channels > 1 << 16:
            raise CorruptFile(f"there are said to be {track.channels} channels", offset=entry.at)
        self._plain_sound()
        return min(at, entry.end)

    def _plain_sound(self) -> None:
        """The codec of uncompressed sound by its bits, and the size of its samples."""
        track = self._track
        if track.format == b"\0\0\0\0":
            track.codec = {8: "pcm_u8", 16: "pcm_s16be"}.get(track.depth, track.codec)
        codec = track.codec
        if codec in ("pcm_s8", "pcm_u8") and track.depth == 16:
            track.codec = "pcm_s16be"
        elif codec in ("pcm_s16le", "pcm_s16be"):
            order = codec[-2:]
            track.codec = {8: "pcm_s8", 24: f"pcm_s24{order}", 32: f"pcm_s32{order}"}.get(track.depth, codec)
        elif codec in _OLD_PACKETS:
            track.samples_per_frame, unit = _OLD_PACKETS[codec]
            track.bytes_per_frame = unit * (1 if codec == "gsm" else track.channels)
        bits = PCM_BITS.get(track.codec or "", 0)
        if bits:
            track.sample_size = (bits >> 3) * track.channels

    def _data(self, space: Space, entry: Box) -> int:
        """Neither picture, sound nor text; of time codes what they count (QuickTime, "Timecode Media")."""
        if entry.kind == b"tmcd" and entry.end - entry.body > 16:
            data = space.read(entry.body, min(256, entry.end - entry.body))
            flags, scale, duration = struct.unpack(">III", data[4:16])
            self._track.timecode = (flags, scale, duration, data[16])
            if len(data) > 30 and data[22:26] == b"name":
                length = int.from_bytes(data[26:28], "big")
                if 0 < length <= len(data) - 30 and data[30]:
                    self._track.tags.put("reel_name", text(data[30 : 30 + length].split(b"\0")[0]))
        return entry.end

    def _extensions(self, space: Space, parent: Box, depth: int = 0) -> None:
        for box in boxes(space, parent.body, parent.end):
            handler = self._HANDLERS.get(box.kind)
            if handler is not None:
                handler(self, space, box)
            elif depth < 4 and (box.kind in (b"sinf", b"schi") or (box.kind == b"wave" and box.size > 8)):
                self._extensions(space, box, depth + 1)

    def _global(self, space: Space, box: Box) -> None:
        """A codec configuration record; the first one counts."""
        if len(self._track.config) <= 1:
            skip = 4 if box.kind == b"vvcC" else 0
            self._track.config = space.read(box.body + skip, max(0, min(box.size - skip, _LONGEST_CONFIG)))
            if box.kind == b"hvcC" and self._track.tag == b"dvh1":
                self._track.codec = "hevc"

    def _descriptor(self, space: Space, box: Box) -> None:
        """An ES_Descriptor (ISO/IEC 14496-1, 7.2.6.5): object type, rate, and what is specific to the decoder."""
        data, track = space.body(box), self._track
        tag, _, at = _tag(data, 4)
        at += 2
        if tag == 3:
            flags = data[at] if at < len(data) else 0
            at += 1 + 2 * bool(flags & 0x80)
            if flags & 0x40:
                at += 1 + (data[at] if at < len(data) else 0)
            at += 2 * bool(flags & 0x20)
        tag, _, at = _tag(data, at)
        if tag != 4 or at + 13 > len(data):
            return
        kind, track.bit_rate = data[at], int.from_bytes(data[at + 9 : at + 13], "big")
        track.codec = OBJECT_TYPES.get(kind, track.codec)
        tag, length, at = _tag(data, at + 13)
        if tag != 5 or kind in (0x69, 0x6B) or not length:
            return
        track.config = data[at : at + length]
        if track.codec == "aac":
            self._aac()

    def _aac(self) -> None:
        track, found = self._track, aac(self._track.config)
        track.channels, track.sample_rate = found.channels, found.sample_rate
        if found.object_type == 36:
            track.codec = "mp4als"
        elif found.object_type in (32, 33, 34):
            track.codec = "mp3on4"

    def _lossless(self, space: Space, box: Box) -> None:
        """ALAC's configuration: 28 bytes behind its box's header."""
        if self._track.codec == "alac" and box.size >= 28:
            self._track.config = space.read(box.body, 28)
            self._track.channels = self._track.config[13]
            self._track.sample_rate = int.from_bytes(self._track.config[24:28], "big")

    def _flac(self, space: Space, box: Box) -> None:
        if box.size >= 42:
            self._track.config = space.read(box.body + 8, 34)

    def _opus(self, space: Space, box: Box) -> None:
        if box.size >= 11:
            self._track.channels = space.number(box.body + 1, 1)

    def _ac3(self, space: Space, box: Box) -> None:
        if box.size >= 3:
            info = space.number(box.body, 3)
            self._surround(info >> 11 & 7, info >> 10 & 1)
            rate = info >> 5 & 31
            self._track.coded_rate = 1000 * AC3_RATES[rate] if rate < len(AC3_RATES) else 0

    def _eac3(self, space: Space, box: Box) -> None:
        if box.size >= 5:
            info = space.number(box.body + 2, 3)
            self._surround(info >> 9 & 7, info >> 8 & 1)

    def _surround(self, mode: int, bass: int) -> None:
        self._track.channels = AC3_CHANNELS[mode] + bass
        self._track.channel_layout = (AC3_WITH_BASS if bass else AC3_LAYOUTS)[mode]

    def _dts(self, space: Space, box: Box) -> None:
        if box.size >= 20:
            self._track.sample_rate = space.number(box.body, 4)

    def _shape(self, space: Space, box: Box) -> None:
        if box.size >= 8:
            across, down = struct.unpack(">ii", space.read(box.body, 8))
            if down:
                self._track.spacing = (across, down)

    def _display(self, space: Space, box: Box) -> None:
        """`ARES`, which Avid's programs write: the shape of pictures, of fields of which there are one or two."""
        if self._track.tag in (b"AVd1", b"AVdn", b"AVj2") and box.size >= 24:
            across, down, fields = struct.unpack(">iii", space.read(box.body + 12, 12))
            if across > 0 and down > 0 and fields in (1, 2):
                self._track.display = (across, down * fields)

    def _colour(self, space: Space, box: Box) -> None:
        if box.size >= 11 and space.read(box.body, 4) == b"nclx":
            self._track.full_range = space.number(box.body + 10, 1) >> 7 == 1

    def _vp9(self, space: Space, box: Box) -> None:
        self._track.config = space.body(box, 256)
        if len(self._track.config) >= 7 and self._track.config[0] == 1:
            self._track.full_range = self._track.config[6] & 1 == 1

    def _byte_order(self, space: Space, box: Box) -> None:
        if box.size >= 2 and space.number(box.body, 2) & 0xFF == 1:
            self._track.codec = _LITTLE.get(self._track.codec or "", self._track.codec)

    def _pcm(self, space: Space, box: Box) -> None:
        """`pcmC` (ISO/IEC 23003-5): order and bits of uncompressed sound."""
        if box.size < 6:
            raise CorruptFile("the configuration of uncompressed sound is empty", offset=box.at)
        flags, bits = space.read(box.body + 4, 2)
        kind = {b"fpcm": "f", b"ipcm": "s"}.get(self._track.format)
        codec = f"pcm_{kind}{bits}{'le' if flags & 1 else 'be'}"
        if kind is None or codec not in PCM_BITS:
            raise CorruptFile(f"there is no uncompressed sound of {bits} bits in {self._track.format!r}", offset=box.at)
        self._track.codec = codec

    def _rate_box(self, space: Space, box: Box) -> None:
        if self._movie.isom and self._track.kind == "audio" and box.size >= 8:
            rate = space.number(box.body + 4, 4)
            if 0 < rate < 1 << 31:
                self._track.sample_rate = rate

    def _original(self, space: Space, box: Box) -> None:
        """`frma` (8.12.2): what is encrypted."""
        track = self._track
        if box.size < 4 or track.format not in (b"encv", b"enca"):
            return
        codec, kind = track.codec, space.read(box.body, 4)
        self._name(kind)
        track.encrypted = True
        if codec is not None and track.codec != codec:
            track.codec = codec

    def _wave_format(self, space: Space, box: Box) -> None:
        """A WAVEFORMATEX, as in RIFF."""
        if box.size >= 16:
            kind, channels, rate, bytes_rate, _, _ = struct.unpack("<HHIIHH", space.read(box.body, 16))
            self._track.codec = _WAVE_FORMATS.get(kind, self._track.codec)
            self._track.channels, self._track.sample_rate, self._track.bit_rate = channels, rate, 8 * bytes_rate

    def _channels(self, space: Space, box: Box) -> None:
        """`chan` (Core Audio Format, "Channel Layout Chunk"): a tag, or a bitmap."""
        if box.size >= 16:
            tag, bitmap = struct.unpack(">II", space.read(box.body + 4, 8))
            self._track.channel_layout = LAYOUT_MASKS.get(bitmap) if tag == 1 << 16 else LAYOUT_TAGS.get(tag)

    def _layers(self, _space: Space, _box: Box) -> None:
        """`lhvC` (ISO/IEC 14496-15, 9): pictures of several layers."""
        self._track.dispositions.add("multilayer")

    def _refuse(self, _space: Space, box: Box) -> None:
        raise BelongsTo("video", f"a box {four_characters(box.kind)} in a sample description")

    _HANDLERS: ClassVar[dict[bytes, Callable[["DescriptionReader", Space, Box], None]]] = {
        **dict.fromkeys((b"avcC", b"hvcC", b"av1C", b"vvcC", b"evcC", b"lvcC", b"apvC", b"glbl"), _global),
        b"esds": _descriptor,
        b"alac": _lossless,
        b"dfLa": _flac,
        b"dOps": _opus,
        b"dac3": _ac3,
        b"dec3": _eac3,
        b"ddts": _dts,
        b"chan": _channels,
        b"pasp": _shape,
        b"ARES": _display,
        b"colr": _colour,
        b"vpcC": _vp9,
        b"enda": _byte_order,
        b"pcmC": _pcm,
        b"srat": _rate_box,
        b"frma": _original,
        b"wfex": _wave_format,
        b"lhvC": _layers,
        b"iacb": _refuse,
        b"adrm": _refuse,
    }

    def _finish(self) -> None:
        track = self._track
        if track.codec in _UNKNOWN:
            raise BelongsTo("video", f"{track.codec} in a track")
        if track.kind == "audio" and not track.sample_rate and track.time_scale > 1:
            track.sample_rate = track.time_scale
        if track.codec in _RATE_OF_CODE:
            track.sample_rate, track.channels = _RATE_OF_CODE[track.codec], 1
        elif track.codec == "qcelp":
            track.channels, track.samples_per_frame = 1, 160
            track.sample_rate = track.sample_rate if track.format == b"Qclp" else 8000
            track.bytes_per_frame = track.bytes_per_frame or 35
        elif track.codec in ("mp2", "mp3"):
            track.kind = "audio"


def _tag(data: bytes, at: int) -> tuple[int, int, int]:
    """The tag of a descriptor, its length, and where its body begins (ISO/IEC 14496-1, 8.3.3)."""
    tag, length = data[at] if at < len(data) else 0, 0
    for _ in range(4):
        at += 1
        byte = data[at] if at < len(data) else 0
        length = length << 7 | byte & 127
        if not byte & 128:
            break
    return tag, length, at + 1


def _linear(bits: int, flags: int) -> str | None:
    """The codec of `lpcm` by its flags (Core Audio, AudioStreamBasicDescription): float, big endian, signed."""
    order = "be" if flags & 2 else "le"
    if flags & 1:
        return f"pcm_f{bits}{order}" if bits in (32, 64) else None
    if bits == 8:
        return "pcm_s8" if flags & 4 else "pcm_u8"
    return f"pcm_s{bits}{order}" if bits in (16, 24, 32) and flags & 4 else None
