"""Which first bytes are of a video container, and which only look like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.formats.signatures import is_video, transport_stride, video_container


def box(kind: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    return (8 + len(body) if size is None else size).to_bytes(4, "big") + kind + body


VIDEO = {
    "mp4": (box(b"ftyp", b"isom\0\0\2\0isommp41"), "mov"),
    "quicktime without ftyp": (box(b"moov", bytes(100)), "mov"),
    "mdat of 64 bits": (box(b"mdat", bytes(60), 1), "mov"),
    "mdat to the end": (box(b"mdat", bytes(60), 0), "mov"),
    "wide, then mdat": (box(b"wide") + box(b"mdat", bytes(50)), "mov"),
    "free as long as the head": (box(b"free", bytes(4088)), "mov"),
    "media segment": (box(b"styp", b"msdh\0\0\0\0"), "mov"),
    "image sequence": (box(b"ftyp", b"heic\0\0\0\0heicmsf1"), "mov"),
    "matroska": (b"\x1a\x45\xdf\xa3\x9f\x42\x86", "matroska"),
    "avi": (b"RIFF\x10\0\0\0AVI LIST", "avi"),
    "mpeg-2 program": (b"\0\0\1\xba\x44\0\4\0\4\1", "mpeg"),
    "mpeg-1 system": (b"\0\0\1\xba\x21\0\1\0\1", "mpeg"),
    "mpeg-2 video": (bytes.fromhex("000001b3780438343d092700"), "mpegvideo"),
    "transport": ((b"G" + bytes(187)) * 5, "mpegts"),
    "blu-ray": ((bytes(4) + b"G" + bytes(187)) * 5, "mpegts"),
    "transport, cut into": (bytes(100) + (b"G" + bytes(187)) * 5, "mpegts"),
    "flv": (b"FLV\1\5\0\0\0\x09", "flv"),
    "theora": (b"OggS\0\2" + bytes(20) + b"\1\x2a" + b"\x80theora" + bytes(35), "ogg"),
    "flash": (b"CWS\x06\x9a\xd6\0\0x\x9c", "swf"),
    "motion jpeg": (b"\xff\xd8\xff\xe0\0\x10AVI1\1", "mjpeg"),
    "mxf": (bytes.fromhex("060e2b34020501010d010201010204000000"), "mxf"),
}
NOT_VIDEO = {
    "empty": b"",
    "heic": box(b"ftyp", b"heic\0\0\0\0mif1heic"),
    "avif": box(b"ftyp", b"avif\0\0\0\0avifmif1miaf"),
    "raw of canon": box(b"ftyp", b"crx \0\0\0\1crx isom"),
    "jpeg 2000": box(b"jP  ", b"\r\n\x87\n"),
    "words": b"    free lunch is over",
    "more words": b"The moov was good",
    "free with no box behind": box(b"free", bytes(12)) + b"not a box at all",
    "size that cannot be": box(b"moov", bytes(20), 5),
    "vorbis": b"OggS\0\2" + bytes(20) + b"\1\x1e" + b"\1vorbis" + bytes(23),
    "theora in a later page": b"OggS\0\0" + bytes(20) + b"\1\x2a" + b"\x80theora" + bytes(35),
    "wave": b"RIFF\x10\0\0\0WAVEfmt ",
    "webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "three packets": (b"G" + bytes(187)) * 3,
    "h264": bytes.fromhex("000000016742c01ed9"),
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "start code of nothing": b"\0\0\1\xb3" + bytes(20),
    "uncompressed CWS": b"CWS\x06\x9a\xd6\0\0????",
    "EBML, all but a byte": b"\x1a\x45\xdf",
}


@pytest.mark.parametrize(("head", "container"), VIDEO.values(), ids=VIDEO)
def test_video(head: bytes, container: str) -> None:
    assert video_container(head) == container
    assert is_video(head, "")


@pytest.mark.parametrize("head", NOT_VIDEO.values(), ids=NOT_VIDEO)
def test_not_video(head: bytes) -> None:
    assert video_container(head) is None
    assert not is_video(head, ".mp4"), "a suffix never stands alone"


def test_a_suffix_tips_what_the_bytes_leave_open() -> None:
    head = b"\xff\xd8\xff\xdb\0\x43"
    assert is_video(head, ".mjpeg")
    assert not is_video(head, ".jpg")


@given(st.binary(max_size=64), st.sampled_from([value[0] for value in VIDEO.values()]), st.integers(0, 64))
def test_heads_cut_or_continued_anyhow_raise_nothing(behind: bytes, head: bytes, cut: int) -> None:
    assert video_container(head[:cut] + behind) in {None, *(name for _, name in VIDEO.values())}


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=200).map(str.encode))
def test_text_is_no_video(words: bytes) -> None:
    names = (b"RIFF", b"FWS", b"CWS", b"ZWS", b"YUV4MPEG2 ", b".RMF")
    assert words.startswith(names) or video_container(words) is None


@given(st.integers(0, 187), st.sampled_from([188, 192, 204]), st.integers(4, 12))
def test_transport_stride(start: int, stride: int, packets: int) -> None:
    data = bytes(start) + (b"G" + bytes(stride - 1)) * packets
    assert transport_stride(data) == (start, stride)
