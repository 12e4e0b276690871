"""The elements of Matroska that are read, and their identifiers: RFC 9559, section 5."""

from memx.formats.video.matroska.ebml import Field

HEADER, SEGMENT = 0x1A45DFA3, 0x18538067
SEEK_HEAD, INFO, TRACKS, CUES = 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B
TAGS, CHAPTERS, ATTACHMENTS, CLUSTER = 0x1254C367, 0x1043A770, 0x1941A469, 0x1F43B675
LEVEL_1 = (SEEK_HEAD, INFO, TRACKS, CUES, TAGS, CHAPTERS, ATTACHMENTS, CLUSTER)

TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP = 0xE7, 0xA3, 0xA0
BLOCK, BLOCK_DURATION, REFERENCE_BLOCK = 0xA1, 0x9B, 0xFB

VIDEO, AUDIO, SUBTITLE, METADATA = 1, 2, 17, 33
"""Track types."""

HEADER_FIELDS = {
    0x42F7: Field("read_version", "uint"),
    0x42F2: Field("id_length", "uint"),
    0x42F3: Field("size_length", "uint"),
    0x4282: Field("doctype", "name"),
    0x4285: Field("doctype_read_version", "uint"),
}

_SEEK = {0x53AB: Field("id", "bytes"), 0x53AC: Field("position", "uint")}
SEEK_HEAD_FIELDS = {0x4DBB: Field("seeks", "master", _SEEK, many=True)}

INFO_FIELDS = {
    0x2AD7B1: Field("scale", "uint"),
    0x4489: Field("duration", "float"),
    0x7BA9: Field("title", "text"),
    0x4D80: Field("muxer", "text"),
    0x4461: Field("date", "bytes"),
}

_COLOUR = {0x55B9: Field("range", "uint")}
_PROJECTION = {
    0x7671: Field("type", "uint"),
    0x7672: Field("private", "bytes"),
    0x7673: Field("yaw", "float"),
    0x7674: Field("pitch", "float"),
    0x7675: Field("roll", "float"),
}
_VIDEO = {
    0xB0: Field("width", "uint"),
    0xBA: Field("height", "uint"),
    0x54B0: Field("display_width", "uint"),
    0x54BA: Field("display_height", "uint"),
    0x54B2: Field("display_unit", "uint"),
    0x53B8: Field("stereo", "uint"),
    0x53C0: Field("alpha", "uint"),
    0x2EB524: Field("color_space", "bytes"),
    0x2383E3: Field("frame_rate", "float"),
    0x55B0: Field("colour", "master", _COLOUR),
    0x7670: Field("projection", "master", _PROJECTION),
}
_AUDIO = {
    0xB5: Field("rate", "float"),
    0x78B5: Field("output_rate", "float"),
    0x9F: Field("channels", "uint"),
    0x6264: Field("depth", "uint"),
}
_COMPRESSION = {0x4254: Field("algorithm", "uint"), 0x4255: Field("settings", "bytes")}
_ENCODING = {
    0x5032: Field("scope", "uint"),
    0x5033: Field("type", "uint"),
    0x5034: Field("compression", "master", _COMPRESSION),
    0x5035: Field("encryption", "master", {}),
}
_OPERATION = {0xE3: Field("planes", "master", {0xE4: Field("plane", "master", {}, many=True)})}
_TRACK = {
    0xD7: Field("number", "uint"),
    0x73C5: Field("uid", "uint"),
    0x83: Field("type", "uint"),
    0x536E: Field("name", "text"),
    0x22B59C: Field("language", "name"),
    0x86: Field("codec", "name"),
    0x63A2: Field("private", "bytes"),
    0x56AA: Field("codec_delay", "uint"),
    0x23E383: Field("default_duration", "uint"),
    0x23314F: Field("scale", "float"),
    0x88: Field("default", "uint"),
    0x55AA: Field("forced", "uint"),
    0x55AB: Field("hearing_impaired", "uint"),
    0x55AC: Field("visual_impaired", "uint"),
    0x55AD: Field("descriptions", "uint"),
    0x55AE: Field("original", "uint"),
    0x55AF: Field("comment", "uint"),
    0xE0: Field("video", "master", _VIDEO),
    0xE1: Field("audio", "master", _AUDIO),
    0xE2: Field("operation", "master", _OPERATION),
    0x6D80: Field("encodings", "master", {0x6240: Field("encoding", "master", _ENCODING, many=True)}),
}
TRACKS_FIELDS = {0xAE: Field("tracks", "master", _TRACK, many=True)}

_FILE = {
    0x46AE: Field("uid", "uint"),
    0x466E: Field("name", "text"),
    0x4660: Field("media_type", "name"),
    0x467E: Field("description", "text"),
    0x465C: Field("data", "place"),
}
ATTACHMENTS_FIELDS = {0x61A7: Field("attachments", "master", _FILE, many=True)}

_ATOM = {
    0x73C4: Field("uid", "uint"),
    0x91: Field("start", "uint"),
    0x92: Field("end", "uint"),
    0x80: Field("display", "master", {0x85: Field("title", "text")}),
}
_EDITION = {0xB6: Field("chapters", "master", _ATOM, many=True)}
CHAPTERS_FIELDS = {0x45B9: Field("editions", "master", _EDITION, many=True)}

_SIMPLE_TAG = {
    0x45A3: Field("name", "name"),
    0x4487: Field("value", "text"),
    0x447A: Field("language", "name"),
    0x4484: Field("default", "uint"),
    0x44B4: Field("default", "uint"),  # as FFmpeg once wrote it
}
_SIMPLE_TAG[0x67C8] = Field("tags", "master", _SIMPLE_TAG, many=True)
_TARGETS = {
    0x63CA: Field("type", "name"),
    0x63C5: Field("track", "uint"),
    0x63C4: Field("chapter", "uint"),
    0x63C6: Field("attachment", "uint"),
}
_TAG = {
    0x63C0: Field("targets", "master", _TARGETS),
    0x67C8: Field("tags", "master", _SIMPLE_TAG, many=True),
}
TAGS_FIELDS = {0x7373: Field("tags", "master", _TAG, many=True)}
