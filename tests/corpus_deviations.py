"""Where memx and an oracle, or the index of the corpus, differ and memx is held to be right: file by file.

The key is the path inside the corpus folder; the value says which differences are meant (a regular expression
that is searched in each) and why they stand. An entry that matches nothing any more fails the corpus test.
"""

from typing import NamedTuple


class Deviation(NamedTuple):
    """A difference that stands."""

    pattern: str
    reason: str


_NO_SIGNATURE = (
    "hdf5/HDFGroup__cve_hdf5/cvefiles/cve-2018-17433",
    "hdf5/HDFGroup__cve_hdf5/fuzzerfiles/gh-4585.h5",
    "hdf5/debian_hdf5/test/testfiles/family_v16-000001.h5",
    "hdf5/debian_hdf5/test/testfiles/family_v16-000002.h5",
    "hdf5/debian_hdf5/test/testfiles/family_v16-000003.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tfamily00001.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tfamily00010.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tmulti-b.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tmulti-o.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tsplit_file-r.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00002.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00003.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00005.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00006.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00009.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00013.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00015.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00016.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00017.h5",
    "hdf5/debian_nexus/bindings/idl/nxext.h5",
)
"""Further members of families, files of the split and multi drivers, two that fuzzing broke, one that is HDF4."""

_SCORES = (
    "audio/apache__tika/tika-parsers-standard/tika-parsers-standard-modules/tika-parser-audiovideo-module/src/test/resources/test-documents/testMID.mid",
    "audio/debian_libextractor/sid_wizball.sid",
    "audio/debian_quodlibet/test.mid",
    "audio/debian_quodlibet/test.spc",
    "audio/debian_quodlibet/test.vgm",
    "audio/debian_taglib/test.it",
    "audio/debian_taglib/test.xm",
    "audio/sindresorhus__file-type/fixture.mid",
    "audio/sindresorhus__file-type/fixture.xm",
)
"""Scores and programs: MIDI, tracker modules, sound chips."""

_NO_SOUND = (
    "audio/debian_kfilemetadata-kf5/misdetected/test_arcgis_geodata.spx",
    "audio/debian_qtmultimedia-opensource-src/tests/auto/integration/qsoundeffect/test_corrupted.wav",
    "audio/debian_qtmultimedia-opensource-src/tests/auto/unit/qwavedecoder/data/notawav.wav",
    "audio/debian_qtmultimedia-opensource-src/tests/auto/unit/qwavedecoder/data/onebyte.wav",
    "audio/debian_taglib/excessive_alloc.aif",
    "audio/quodlibet__mutagen/145-invalid-item-count.apev2",
    "audio/quodlibet__mutagen/brokentag.apev2",
    "audio/quodlibet__mutagen/empty.ofr",
    "audio/quodlibet__mutagen/empty.ofs",
    "audio/quodlibet__mutagen/oldtag.apev2",
    "audio/quodlibet__mutagen/silence-2s-44100-16.ofr",
    "audio/quodlibet__mutagen/sv4_header.mpc",
    "audio/quodlibet__mutagen/sv5_header.mpc",
    "audio/sindresorhus__file-type/fixture-mp2l3.mp3",
    "audio/tinytag__tinytag/ilbm.aiff",
    "audio/tinytag__tinytag/invalid_file.aiff",
    "audio/tinytag__tinytag/invalid_file_larger.mp3",
)
"""Sound by name alone: a tag without its sound, zeros, text, pictures, codecs that nobody can decode any more."""

DEVIATIONS: dict[str, Deviation] = {
    **dict.fromkeys(
        _NO_SIGNATURE,
        Deviation("the format is binary, not hdf5", "it has no signature of HDF5, and h5py cannot open it by itself"),
    ),
    **dict.fromkeys(
        _SCORES,
        Deviation("the format is binary, not audio", "it has notes, no samples: a synthesizer makes the sound"),
    ),
    **dict.fromkeys(
        _NO_SOUND,
        Deviation("the format is binary, not audio", "neither libsndfile nor FFmpeg finds sound in it"),
    ),
    **dict.fromkeys(
        (
            "audio/debian_qtmultimedia-opensource-src/tests/auto/unit/qwavedecoder/data/isawav_2_16_44100_be.wav",
            "audio/pypi_scipy/test-8000Hz-be-3ch-5S-24bit.wav",
        ),
        Deviation("codec pcm_s(16|24)be, ffprobe has", "RIFX has the high byte first; ffprobe 5.1 says the contrary"),
    ),
    **dict.fromkeys(
        (
            "audio/quodlibet__mutagen/silence-2s-PCM-16000-08-ID3v23.wav",
            "audio/tinytag__tinytag/id3_header_with_a_zero_byte.wav",
        ),
        Deviation(
            "tag (title|artist|track) ", "FFmpeg reads ID3 in WAVE otherwise since 5.1; memx has what PyAV's says"
        ),
    ),
    "audio/quodlibet__mutagen/example.opus": Deviation(
        "duration_s 11.354", "it begins at 1.4 s of its own clock, which ffprobe counts as sound"
    ),
    **dict.fromkeys(
        (
            "netcdf/debian_netcdf/dap4_test/nctestfiles/test_vlen3.nc",
            "netcdf/debian_netcdf/dap4_test/nctestfiles/test_vlen4.nc",
        ),
        Deviation(
            "/c_t: memx has a type that netCDF4 has not",
            "netCDF4 leaves out compounds that hold a vlen; ncdump shows it",
        ),
    ),
    "video/apache__tika/tika-parsers-standard/tika-parsers-standard-integration-tests/src/test/resources/test-documents/"
    "test2.swf": Deviation("the format is binary, not video", "a drawing without a stream: FFmpeg cannot open it"),
    **dict.fromkeys(
        (
            "hdf5/debian_hdf5/tools/test/h5dump/testfiles/vds/1_vds.h5",
            "hdf5/debian_hdf5/tools/test/h5dump/testfiles/vds/3_1_vds.h5",
            "hdf5/debian_hdf5/tools/test/h5dump/testfiles/vds/3_2_vds.h5",
            "hdf5/debian_hdf5/tools/test/h5dump/testfiles/vds/vds-eiger.h5",
        ),
        Deviation("shape: memx", "h5py takes the extent from other files, the sources, which memx does not open"),
    ),
    "hdf5/HDFGroup__cve_hdf5/cvefiles/cve-2024-32606.h5": Deviation(
        "/dset: external", "a broken offset that h5py has as a negative number"
    ),
    "video/Eyevinn__mp4ff/mp4/testdata/iamf.mp4": Deviation(
        "17 streams, ffprobe has 1", "FFmpeg knows IAMF from version 7 on: PyAV brings 8, Debian 12 has ffprobe 5.1"
    ),
    "video/mozilla__mp4parse-rust/mp4parse_capi/tests/short-cenc.mp4": Deviation(
        "stream 0 pix_fmt: memx 'yuvj420p', ffprobe None",
        "the pictures are encrypted; the parameters in the sample description are not, and say it",
    ),
    "video/mozilla__mp4parse-rust/mp4parse/tests/test_case_1185230.mp4": Deviation(
        "stream 0 (profile|pix_fmt|level)|packet 1 keyframe|packet 0 duration",
        "its samples are said to lie in its own moov box: FFmpeg finds no picture in those bytes",
    ),
    "netcdf/debian_pnetcdf/src/utils/ncvalidator/bad_magic.nc": Deviation(
        "the format is binary, not netcdf", "without the magic it is no NetCDF file, and netCDF4 says so too"
    ),
    "fits/pypi_astropy/io/fits/tests/data/lzw.fits.Z": Deviation(
        "the format is binary, not fits",
        "memx reads through gzip, bzip2 and xz; Python knows no compress(1)",
    ),
}
