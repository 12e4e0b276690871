"""How the first bytes of a file tell its format. Nothing here imports a library or reads a file.

Each function takes the first bytes and the suffix of the name (lower case, with its dot, may be empty). The
bytes decide; a suffix only tips what they leave open, and never stands alone.
"""

import re
from typing import Literal

from memx.formats.framesync import begins_with_frames, holds_frames

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_dicom(head: bytes, suffix: str) -> bool:
    """The preamble and prefix of PS3.10 7.1, or, without them, a first data element that holds together."""
    return head[128:132] == b"DICM" or _begins_with_element(head, suffix)


_VR_SHORT = re.compile(rb"A[EST]|CS|D[AST]|F[DL]|IS|L[OT]|PN|S[HLST]|TM|U[ILS]")
_VR_LONG = re.compile(rb"O[BDFLVW]|S[QV]|U[CNRTV]")


def _begins_with_element(head: bytes, suffix: str) -> bool:
    """Whether data elements stand one behind the other from the first byte on (PS3.5 7.1), their tags rising.

    Three elements, or two if one of them names its VR, leave chance little room; one will do where the name of
    the file is that of DICOM, or where it is all of the file.
    """
    named = suffix in (".dcm", ".dicom", ".ima")
    return any(_rising_elements(head, order) >= (1 if named else 3) for order in ("little", "big"))


def _rising_elements(head: bytes, order: Literal["little", "big"]) -> int:
    """One point for every element at the beginning of `head`, two if it names its VR; counted to three points."""
    at, last, points = 0, -1, 0
    while points < 3 and at + 8 <= len(head):
        tag = int.from_bytes(head[at : at + 2], order) << 16 | int.from_bytes(head[at + 2 : at + 4], order)
        vr, size, length = head[at + 4 : at + 6], 8, int.from_bytes(head[at + 4 : at + 8], order)
        if _VR_SHORT.match(vr):
            length = int.from_bytes(head[at + 6 : at + 8], order)
        elif _VR_LONG.match(vr):
            size, length = 12, int.from_bytes(head[at + 8 : at + 12], order)
        elif length > 1 << 16:
            return 0
        # a command set begins with its length; a data set begins in one of the low even groups, never in a private one
        begins = tag == 0 or (0x20000 <= tag < 0x420000 and not tag & 0x10000)
        if tag <= last or (last < 0 and not begins) or tag == length == 0:
            return points if at else 0
        points += 2 if size == 12 or _VR_SHORT.match(vr) else 1
        at, last = at + size + length, tag
    return 3 if points == 2 and at == len(head) else points


_FITS_FIRST_CARD = re.compile(rb"SIMPLE {0,2}= *[TF](?![A-Za-z0-9])|XTENSION= +'")
_FITS_CARD = re.compile(rb"(?=[A-Z0-9_ -]{8}= )[A-Z0-9_-]+ *= [ -~]{70}")


def is_fits(head: bytes, suffix: str) -> bool:
    """FITS 4.0, 4.4.1: the first card is SIMPLE with a logical value, or XTENSION of an extension that stands alone.

    With the suffix of FITS any card with a value will do.
    """
    if _FITS_FIRST_CARD.match(head):
        return True
    return suffix in (".fits", ".fit", ".fts") and _FITS_CARD.match(head) is not None


def is_hdf5(head: bytes, _suffix: str) -> bool:
    """HDF5 File Format Specification 3.0, II.A: the signature, at 0 or behind a user block of 512 times 2**n."""
    return any(head[at : at + 8] == HDF5_SIGNATURE for at in (0, 512, 1024, 2048))


def is_netcdf_classic(head: bytes, _suffix: str) -> bool:
    """The magic of the classic format and its two extensions (NetCDF User's Guide, file format specifications)."""
    return head[:4] in (b"CDF\x01", b"CDF\x02", b"CDF\x05")


_BOXES = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"emsg", b"prft", b"pdin", b"pnot"}
_FILLERS = {b"free", b"skip", b"wide"}
_STILL_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif", b"crx ", b"jp2 ", b"jpx ", b"jxl "}
_SEQUENCE_BRANDS = {b"msf1", b"avis", b"hevc", b"hevx"}
_EBML = b"\x1a\x45\xdf\xa3"
_VIDEO_MAGIC = (
    (_EBML, "matroska"),  # RFC 8794, 11.2.1: EBML
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),  # ASF 10.1: Header Object
    (b"FLV\x01", "flv"),  # Video File Format 10.1, E.2
    (b"DKIF\0\0", "ivf"),
    (b".RMF\0\0\0", "rm"),
    (b"nut/multimedia container\0", "nut"),
    (b"YUV4MPEG2 ", "yuv4mpegpipe"),
    (bytes.fromhex("b7d800203749da11a64e0007e95ead8d"), "wtv"),
    (bytes.fromhex("0000000001bc"), "gxf"),  # SMPTE 360M: a MAP packet comes first
)
_PARTITION_PACK = bytes.fromhex("060e2b34020501010d0102010102")  # SMPTE 377-1, 7.1: header partition of MXF
_PICTURE_CODECS = (b"\x80theora", b"\x80daala", b"BBCD\0", b"\x01video\0\0\0", b"OVP80\x01")


def is_video(head: bytes, suffix: str) -> bool:
    """Containers that can hold a moving picture; whether they do is for the reader to find out."""
    return video_container(head, suffix) is not None


def is_isobmff(head: bytes, _suffix: str) -> bool:
    """A box of ISO/IEC 14496-12, or of QuickTime, that opens a film; not those of still pictures."""
    return _begins_with_box(head)


_SOUND_SUFFIXES = frozenset((".m4a", ".m4b", ".m4p", ".f4a", ".f4b", ".aax", ".mka", ".weba", ".wma", ".ra", ".oga"))
_SOUND_BRANDS = frozenset((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ", b"aax ", b"aaxc"))


def is_matroska(head: bytes, _suffix: str) -> bool:
    """RFC 8794, 11.2.1: an EBML header, as Matroska and WebM begin."""
    return head.startswith(_EBML)


def is_avi(head: bytes, _suffix: str) -> bool:
    """AVI RIFF File Reference: the form of the first chunk."""
    return head[:4] == b"RIFF" and head[8:11] == b"AVI"


def is_named_as_sound(head: bytes, suffix: str) -> bool:
    """Whether the brand or the name of a container says that there is sound alone, where its streams cannot."""
    return suffix in _SOUND_SUFFIXES or (head[4:8] == b"ftyp" and head[8:12] in _SOUND_BRANDS)


def video_container(head: bytes, suffix: str = "") -> str | None:
    """The container that `head` begins, in FFmpeg's name for it; None where it holds no moving pictures.

    Pictures that stand still (HEIC, AVIF, JPEG 2000, CR3) share the boxes of ISO/IEC 14496-12 and are not
    meant; nor are bare H.264 and H.265 streams, which nothing sets apart from other bytes with certainty.
    """
    for magic, name in _VIDEO_MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] in (b"AVI ", b"AVIX", b"AMV "):
        return "avi"
    if head[:4] == b"OggS":
        return "ogg" if any(codec in page for page in _first_ogg_pages(head) for codec in _PICTURE_CODECS) else None
    if _begins_with_box(head):
        return "mov"
    if _PARTITION_PACK in head:
        return "mxf"
    if head[:3] in (b"FWS", b"CWS", b"ZWS") and 1 <= head[3] <= 60 and (head[:1] != b"C" or head[8:9] == b"x"):
        return "swf"
    return _bare_video(head, suffix)


def _begins_with_box(head: bytes) -> bool:
    """ISO/IEC 14496-12, 4.2, and QuickTime before it: a box that opens such files, with a size that can be."""
    size, kind = int.from_bytes(head[:4], "big"), head[4:8]
    if len(head) < 8 or 1 < size < 8 or all(32 <= byte < 127 for byte in head[:4]):
        return False  # a size that is text is text
    if kind == b"ftyp":
        brands = {head[at : at + 4] for at in (8, *range(16, min(size, 512), 4))}
        return head[8:12] not in _STILL_BRANDS or bool(brands & _SEQUENCE_BRANDS)
    if kind in _FILLERS:  # plain words: the box behind must be one too
        return size >= len(head) - 8 or head[size + 4 : size + 8] in _BOXES | _FILLERS
    return kind in _BOXES


def _first_ogg_pages(head: bytes) -> list[bytes]:
    """The bodies of the pages that begin a stream (RFC 3533, 6): they come first, one a stream."""
    pages, at = [], 0
    while head[at : at + 4] == b"OggS" and len(head) > at + 27 and head[at + 5] & 2:
        body = at + 27 + head[at + 26]
        end = body + sum(head[at + 27 : body])
        pages.append(head[body:end])
        at = end
    return pages


def _bare_video(head: bytes, suffix: str) -> str | None:
    """Streams that have no header of their own, told by the pattern of their first packets."""
    if head[:4] == b"\0\0\1\xba" and len(head) > 4 and (head[4] & 0xC4 == 0x44 or head[4] & 0xF1 == 0x21):
        return "mpeg"  # ISO/IEC 13818-1, 2.5.3.3, and 11172-1: a pack header and its marker bits
    if head[:4] == b"\0\0\1\xb3" and len(head) > 11 and head[10] & 0x20 and _is_sequence_header(head):
        return "mpegvideo"
    if transport_stride(head) is not None:
        return "mpegts"
    if head[:1] == b"\x1f" and head[2:3] == b"\0" and head[3:4] and head[3] & 0x7F == 0x3F and head[80:81] == b"\x3f":
        return "dv"  # IEC 61834-2: a header DIF block, then a subcode block
    if head[:4] == b"\xff\xd8\xff\xe0" and head[6:10] == b"AVI1":
        return "mjpeg"  # OpenDML 1.02: a frame of Motion JPEG
    if head[:3] == b"\xff\xd8\xff" and suffix in (".mjpeg", ".mjpg"):
        return "mjpeg"
    return None


def _is_sequence_header(head: bytes) -> bool:
    """ISO/IEC 13818-2, 6.2.2.1: neither width, height, aspect ratio nor frame rate are nought."""
    width, height = head[4] << 4 | head[5] >> 4, (head[5] & 15) << 8 | head[6]
    return bool(width and height and head[7] >> 4 and head[7] & 15)


def transport_stride(head: bytes) -> tuple[int, int] | None:
    """Offset of the first packet of an MPEG transport stream and the bytes from one packet to the next.

    ISO/IEC 13818-1, 2.4.3.2: packets of 188 bytes begin with 0x47; four bytes of time stamp may stand before
    each (M2TS), or sixteen of parity behind. None where fewer than four stand in a row up to the end of `head`.
    """
    for stride in (188, 192, 204):
        for start in range(min(stride, len(head))):
            if head[start] == 0x47 and len(head) - start > 3 * stride:
                syncs = head[start::stride]
                if syncs == b"\x47" * len(syncs):
                    return start, stride
    return None


_SOUND_MAGIC = (
    b"fLaC",
    b"ID3",  # ID3v2 4.0, 3.1: a tag that only sound files bear in front
    bytes.fromhex("726966662e91cf11a5d628db04c10000"),  # Wave64: the GUID of RIFF
    b"caff\0\1",
    b".snd\0\0",
    b"dns.",
    b"Creative Voice File\x1a",
    b"#!AMR",
    b"MAC ",
    b"wvpk",
    b"TTA1",
    b"TTA2",
    b"tBaK",
    b"MPCK",
    b"MP+\x07",
    b"MP+\x17",
    b"DSD \x1c\0\0\0\0\0\0\0",
    b"ADIF",
    b".ra\xfd",
    b"NIST_1A\n",
    b"PVF1\n",
    b" paf\0\0\0\0",
    b"fap \0\0\0\0",
    b"2BIT",
    *(b"\x64\xa3" + bytes((machine, 0)) for machine in (1, 2, 3, 4)),  # IRCAM of VAX, Sun, MIPS, NeXT
    *(bytes((0, machine)) + b"\xa3\x64" for machine in (1, 2, 3, 4)),
    b"ajkg",  # Shorten
    b"qoaf",
    b"ALawSoundFile**",  # Psion
    b"Extended Instrument: ",
    b"DTSHDHDR",
    b"\x7f\xfe\x80\x01",  # ETSI TS 102 114, 5.3.1: DTS in words of 16 and of 14 bits, both orders
    b"\xfe\x7f\x01\x80",
    b"\x1f\xff\xe8\0\x07",
    b"\xff\x1f\0\xe8",
)
_SOUND_FORMS = {
    b"RIFF": (b"WAVE", b"QLCM", b"XWMA"),
    b"RIFX": (b"WAVE",),
    b"RF64": (b"WAVE",),
    b"BW64": (b"WAVE",),
    b"FORM": (b"AIFF", b"AIFC", b"8SVX", b"16SV"),
}
"""What files in chunks (EA IFF 85 and its kin) say in bytes 8 to 11 where they hold sound."""
_BARE_SOUND_SUFFIXES = (".mp3", ".mp2", ".mp1", ".mpa", ".aac", ".ac3", ".eac3", ".dts", ".latm", ".loas")
_TEXT = bytes((9, 10, 13, *range(32, 127)))


def is_pcm(head: bytes, _suffix: str) -> bool:
    """Sound files in chunks, and those of Sun: their samples may be uncompressed."""
    kinds = (b"AIFF", b"AIFC") if head[:4] == b"FORM" else (b"WAVE",)
    in_chunks = head[:4] in _SOUND_FORMS and head[8:12] in kinds
    return in_chunks or head.startswith((b"riff\x2e\x91\xcf\x11", b"caff\0\1", b".snd\0\0"))


def is_audio(head: bytes, suffix: str) -> bool:
    """Sound files, and streams of compressed sound without a container.

    What is named like a bare stream, and is no text, is for the libraries to try: the reader hands on what
    they refuse. Score formats (MIDI) and music that a program plays (tracker modules) are no sound.
    """
    return has_sound_signature(head) or (suffix in _BARE_SOUND_SUFFIXES and head.translate(None, _TEXT) != b"")


def has_sound_signature(head: bytes) -> bool:
    """Whether the bytes alone say that it is sound."""
    if head.startswith(_SOUND_MAGIC) or head[8:12] in _SOUND_FORMS.get(head[:4], ()):
        return True
    if head[:4] == b"FRM8" and head[12:16] == b"DSD ":  # DSDIFF 1.5, 3.2
        return True
    if head[4:8] in (b"\x57\x90\x75\x36", b"\xf8\x72\x6f\xba", b"\xf8\x72\x6f\xbb"):  # Audible; TrueHD, MLP
        return True
    if head[:4] == b"OggS":
        return video_container(head) is None
    return begins_with_frames(head) or holds_frames(head)
