"""Codec names by sample entry and by object type.

Sample entries are registered at mp4ra.org and in the QuickTime File Format ("Media Data Atom Types"); the names
are those that FFmpeg has for the codecs.
"""


def _by_code(text: str) -> dict[bytes, str]:
    """`name code code ...` a line; underscores in codes are spaces."""
    lines = (line.split() for line in text.strip().splitlines())
    return {code.replace("_", " ").encode("latin-1"): name for name, *codes in lines for code in codes}


VIDEO = _by_code("""
h264 avc1 avc2 avc3 avc4 dva1 dvav ai5p ai5q ai52 ai53 ai55 ai56 ai1p ai1q ai12 ai13 ai15 ai16 AVin aivx rv64 xalg avlg
hevc hev1 hvc1 dvhe
vvc vvc1 vvi1
evc evc1
lcevc lvc1
apv apv1
av1 av01
vp8 vp08
vp9 vp09
vp3 VP31
mpeg4 mp4v DIVX XVID 3IV2
h263 h263 s263 H263
msmpeg4v3 3IVD
mpeg1video m1v_ m1v1 mpeg mp1v
mpeg2video m2v1 mp2v AVmp hdv1 hdv2 hdv3 hdv4 hdv5 hdv6 hdv7 hdv8 hdv9 hdva mx5n mx5p mx4n mx4p mx3n mx3p
mpeg2video xd51 xd54 xd55 xd59 xd5a xd5b xd5c xd5d xd5e xd5f xdhd xdh2
mpeg2video xdv1 xdv2 xdv3 xdv4 xdv5 xdv6 xdv7 xdv8 xdv9 xdva xdvb xdvc xdvd xdve xdvf
mjpeg jpeg mjpa AVDJ AVRn dmb1
mjpegb mjpb
jpeg2000 mjp2
prores apch apcn apcs apco ap4h ap4x
prores_raw aprn aprh
dnxhd AVdn AVdh
dvvideo dvcp dvc_ dvlp dvl_ dvpp dv5p dv5n AVdv AVd1 dvhq dvhp dvh1 dvh2 dvh3 dvh4 dvh5 dvh6
rawvideo raw_ yuv2 2vuy yuvs v308 v408 v410 L555 L565 B565 24BG BGRA RGBA ABGR b16g b48r b64a bxbg bxrg bxyv NO16 DVOO
rawvideo R420 R411 WRAW AV1x AVup BGGR
r10k R10k R10g
r210 r210
v210 v210 bxy2
avui AVUI
avrp AVrp SUDS
y41p Y41P
yuv4 yuv4
targa_y216 Y216
targa tga_
tiff tiff
gif gif_
png png_ MNG_
sgi sgi_
dpx dpx_
exr exr_
svq1 SVQ1 svq1 svqi
svq3 SVQ3
rpza rpza
cinepak cvid
8bps 8BPS
smc smc_
qtrle rle_
sgirle rle1
msrle WRLE
qdraw qdrw
cdtoons QkBk
vc1 vc-1
cavs avs2
dirac drac
flic flic
aic icod
hap Hap1 Hap5 HapY HapA HapM
dxv DXD3 DXDI
magicyuv M0R0 M0RA M0RG M0Y0 M0Y2 M0Y4 M8RG M8RA M8G0 M8Y0 M8Y2 M8Y4 M8YA M2RA M2RG M4RA M4RG
sheervideo Shr0 Shr1 Shr2 Shr3 Shr4 Shr5 Shr6 Shr7
pixlet pxlt
notchlc nclc
media100 601N 601P dtnt dtNT dtpa dtPA
cfhd CFHD
""")

# those of RIFF, which FFmpeg looks up behind QuickTime's
VIDEO |= _by_code("""
h264 H264 X264 VSSH
hevc HEVC H265
av1 AV01
vp6 VP60 VP61 VP62
vp7 VP70
vp8 VP80
vp9 VP90
mpeg4 FMP4 DX50 MP4V
msmpeg4v2 MP42 DIV2
h261 H261
flv1 FLV1
wmv1 WMV1
wmv2 WMV2
wmv3 WMV3
mjpeg MJPG LJPG
jpegls MJLS
theora theo
ffv1 FFV1
ffvhuff FFVH
huffyuv HFYU
utvideo ULRA ULRG ULY0 ULY2 ULY4 ULH0 ULH2 ULH4 UQY2 UQRG UQRA UQY0
speedhq SHQ0 SHQ1 SHQ2 SHQ3 SHQ4 SHQ5 SHQ7 SHQ9
snow SNOW
asv1 ASV1
asv2 ASV2
amv AMVF
msvideo1 CRAM MSVC
zlib ZLIB
zmbv ZMBV
flashsv FSV1
lagarith LAGS
rawvideo I420 YV12 YUY2 UYVY Y800 GREY NV12
""")

SOUND = _by_code("""
aac mp4a
ac3 ac-3 sac3
ac4 ac-4
eac3 ec-3
adpcm_ima_qt ima4
alac alac
amr_nb samr
amr_wb sawb
dts dtsc dtsh dtsl dtse DTS_
dvaudio vdva dvca
gsm agsm
ilbc ilbc
mace3 MAC3
mace6 MAC6
mp1 .mp1
mp2 .mp2
mp3 .mp3 mp3_
nellymoser nmos NELL
pcm_alaw alaw
pcm_mulaw ulaw
pcm_f32be fl32 fpcm
pcm_f64be fl64
pcm_s16be twos lpcm ipcm
pcm_s16le sowt
pcm_s24be in24
pcm_s32be in32
pcm_u8 raw_ NONE
qcelp Qclp Qclq sqcp
qdm2 QDM2
qdmc QDMC
speex spex SPXN
evrc sevc
smv ssmv
flac fLaC
truehd mlpa
opus Opus
mpegh_3d_audio mhm1
""") | {
    b"ms" + form.to_bytes(2, "big"): name
    for name, *forms in (
        # as in WAVE files
        ("adpcm_ms", 0x2),
        ("pcm_alaw", 0x6),
        ("pcm_mulaw", 0x7),
        ("adpcm_ima_wav", 0x11),
        ("adpcm_yamaha", 0x20),
        ("gsm_ms", 0x31, 0x32),
        ("g723_1", 0x42),
        ("adpcm_g726", 0x45, 0x64),
        ("mp2", 0x50),
        ("mp3", 0x55),
        ("adpcm_g722", 0x65, 0x28F),
        ("wmav1", 0x160),
        ("wmav2", 0x161),
        ("ac3", 0x2000),
        ("dts", 0x2001),
        ("adpcm_swf", 0x5346),
        ("vorbis", 0x566F),
    )
    for form in forms
}

TEXT = _by_code("""
mov_text text tx3g
eia_608 c608
ttml stpp dfxp
webvtt wvtt
""")

DATA = _by_code("bin_data gpmd") | {b"text": "mov_text"}

OBJECT_TYPES = {
    0x01: "mpeg4systems",
    0x02: "mpeg4systems",
    0x08: "mov_text",
    0x20: "mpeg4",
    0x21: "h264",
    0x23: "hevc",
    0x40: "aac",
    **dict.fromkeys(range(0x60, 0x66), "mpeg2video"),
    **dict.fromkeys((0x66, 0x67, 0x68), "aac"),
    0x69: "mp3",
    0x6A: "mpeg1video",
    0x6B: "mp3",
    0x6C: "mjpeg",
    0x6D: "png",
    0x6E: "jpeg2000",
    0xA3: "vc1",
    0xA4: "dirac",
    0xA5: "ac3",
    0xA6: "eac3",
    0xA9: "dts",
    0xAD: "opus",
    0xB1: "vp9",
    0xC1: "flac",
    0xD0: "tscc2",
    0xD1: "evrc",
    0xDD: "vorbis",
    0xE0: "dvd_subtitle",
    0xE1: "qcelp",
}
"""ISO/IEC 14496-1, table 5, and what is registered or used beside it."""

PCM_BITS = {"pcm_alaw": 8, "pcm_mulaw": 8, "pcm_u8": 8, "pcm_s8": 8} | {
    f"pcm_{kind}{bits}{order}": bits
    for kind, bits in (("s", 16), ("s", 24), ("s", 32), ("f", 32), ("f", 64))
    for order in ("be", "le")
}
"""Bits of a sample of uncompressed sound."""

_INTRA = """
mjpeg mjpegb jpeg2000 prores prores_raw dnxhd dvvideo rawvideo r10k r210 v210 avui avrp y41p yuv4 targa_y216 targa tiff
sgi dpx exr 8bps sgirle qdraw aic hap dxv magicyuv sheervideo pixlet notchlc media100 apv v308 v408 v410
"""
INTRA = frozenset(_INTRA.split())
"""Codecs of pictures each of which is a key frame, whatever a table says."""
LENGTHLESS = frozenset(("vp8", "vp9"))
"""Codecs of which FFmpeg forgets how long the container says that packets last, because its parser looks at them."""

_LANGUAGES = """
eng fra ger ita dut sve spa dan por nor heb jpn ara fin gre ice mlt tur hr  chi urd hin tha kor lit pol hun est lav -
fo  -   rus chi -   iri alb ron ces slk slv yid sr  mac bul ukr bel uzb kaz aze aze arm geo mol kir tgk tuk mon -   pus
kur kas snd tib nep san mar ben asm guj pa  ori mal kan tam tel -   bur khm lao vie ind tgl may may amh tir orm som swa
-   run -   mlg epo
"""
_LATER_LANGUAGES = "wel baq cat lat que grn aym tat uig dzo jav"
LANGUAGES = (*_LANGUAGES.split(), *["-"] * 33, *_LATER_LANGUAGES.split())
"""Macintosh language codes (QuickTime File Format, "Language Code Values"); `-` is none."""


def language(code: int) -> str | None:
    """The language of `mdhd` and of texts: three packed letters (ISO/IEC 14496-12, 8.4.2.3), or a Macintosh code."""
    if code >= 0x400 and code != 0x7FFF:
        return "".join(chr(0x60 + (code >> shift & 31)) for shift in (10, 5, 0))
    name = LANGUAGES[code] if code < len(LANGUAGES) else "-"
    return None if name == "-" else name.ljust(3)


def four_characters(code: bytes) -> str:
    """A code as FFmpeg writes it: what is no letter, digit or mark in brackets."""
    return "".join(chr(c) if chr(c).isascii() and (chr(c).isalnum() or chr(c) in "._- ") else f"[{c}]" for c in code)
