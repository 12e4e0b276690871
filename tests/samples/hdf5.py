"""HDF5 files of every construct, in the oldest and the newest form of the format."""

import ctypes
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5p, h5s, h5t

ENUM = {"RED": 0, "GREEN": 1, "BLUE": -3}


def build(folder: Path) -> Path:
    """Every construct, as old as the library writes it."""
    return _every(folder / "every.h5", libver="earliest")


def build_latest(folder: Path) -> Path:
    """Every construct, as new as the library writes it, behind a user block, with the order of creation tracked."""
    path = _every(folder / "every_latest.h5", libver="latest", userblock_size=1024, track_order=True)
    with h5py.File(path, "a", libver="latest") as file:
        file["attributes"].attrs["bulk"] = np.zeros(20000)  # more than an old object header can hold
    return path


def _every(path: Path, **how: Any) -> Path:
    with h5py.File(path, "w", **how) as file:
        datasets(file.create_group("datasets"))
        attributes(file.create_group("attributes"), file["datasets"])
        types(file)
        links(file)
    return path


def datasets(group: h5py.Group) -> None:
    """Every layout, filters, and shapes from none to many."""
    make = group.create_dataset
    make("contiguous", data=np.arange(12, dtype="<f4").reshape(3, 4))
    make("never_written", (5,), ">i2")
    make("chunked", (10, 20), "<i4", chunks=(5, 5), maxshape=(None, 40), fillvalue=-1)
    make("filtered", data=np.arange(100), chunks=(10,), compression="gzip", shuffle=True, fletcher32=True)
    make("lzf", data=np.arange(100), chunks=(10,), compression="lzf")
    make("scaled", data=np.arange(100, dtype="i4"), chunks=(10,), scaleoffset=4)
    make("scalar", data=3.5)
    make("null", data=h5py.Empty("<f8"))
    make("empty", (0, 3), "u1", maxshape=(None, 3))
    make("text", data=["Über", "b"], dtype=h5py.string_dtype())
    make("fixed_text", data=np.array([b"abc", b"d"]))
    make("compound", (2,), np.dtype([("a", "<f4"), ("b", "S5"), ("c", "<i2", (2, 3)), ("d", h5py.string_dtype())]))
    make("enum", data=[0, 1, -3], dtype=h5py.enum_dtype(ENUM, "i1"))
    make("truth", data=np.array([True, False]))
    make("complex", data=np.array([1 + 2j]))
    make("half", data=np.array([1.5], "f2"))
    make("external", (4,), "<i4", external=[("elsewhere.raw", 8, 16)])
    compact = h5p.create(h5p.DATASET_CREATE)
    compact.set_layout(h5d.COMPACT)
    h5d.create(group.id, b"compact", h5t.STD_I32BE, h5s.create_simple((3,)), compact)
    time = h5t.UNIX_D32LE.copy()
    h5d.create(group.id, b"time", time, h5s.create_simple((2,)))
    layout = h5py.VirtualLayout((4,), "<i4")
    layout[:] = h5py.VirtualSource("no such file.h5", "data", (4,))
    group.create_virtual_dataset("virtual", layout)


def attributes(group: h5py.Group, others: h5py.Group) -> None:
    """Attributes of every type."""
    put = group.attrs
    put["integer"], put["array"], put["big"] = -5, np.arange(6, dtype=">i2").reshape(2, 3), np.uint64(2**64 - 1)
    put["floats"] = np.array([np.nan, np.inf, -np.inf, 0.1])
    put["half"], put["long_double"] = np.float16(0.5), np.longdouble("1.5")
    put["complex"], put["truth"] = 1 - 2j, np.array([True, False])
    put["text"], put["texts"] = "Über\tall", ["a", "", "日本"]
    put["fixed"], put["latin"], put["bytes"] = (
        np.array([b"ab", b"c"]),
        np.bytes_("\xe9".encode("latin-1")),
        np.array(b"a\0b", "S3"),
    )
    put["null"], put["nothing"] = h5py.Empty("f4"), np.zeros((0, 2))
    put.create("enum", 1, dtype=h5py.enum_dtype(ENUM, "i1"))
    put["opaque"] = np.void(b"\x00\x01\xff")
    put["moment"] = np.array(["2020-01-02T03:04:05"], "M8[s]").astype(h5py.opaque_dtype("M8[s]"))
    record = np.dtype([("n", "<i4"), ("name", h5py.string_dtype()), ("place", "<f8", (2,)), ("tag", "V2")])
    put["compound"] = np.array([(1, "é", (0.5, np.nan), b"ab"), (2, "", (1, 2), b"\0\0")], record)
    put.create("sequences", _ragged([[1, 2, 3], []], "i4"), dtype=h5py.vlen_dtype("i4"))
    put.create("reference", others["chunked"].ref, dtype=h5py.ref_dtype)
    put.create("no_reference", h5py.Reference(), dtype=h5py.ref_dtype)
    put.create("region", others["chunked"].regionref[0:2, 1:3], dtype=h5py.regionref_dtype)
    regions = np.empty(1, object)
    regions[0] = np.array([others["chunked"].regionref[0:2, 1:3]], h5py.regionref_dtype)
    put.create("regions", regions, dtype=h5py.vlen_dtype(h5py.regionref_dtype))
    scalar = h5s.create(h5s.SCALAR)
    h5a.create(group.id, b"bits", h5t.STD_B16LE, scalar).write(np.array(0xF00F, "u2"), mtype=h5t.NATIVE_UINT16)
    array = h5t.array_create(h5t.STD_I32LE, (2, 2))
    h5a.create(group.id, b"array_type", array, h5s.create_simple((1,))).write(np.ones((1, 2, 2), "i4"), mtype=array)


def _ragged(rows: list[list[int]], dtype: str) -> Any:
    ragged = np.empty(len(rows), object)
    for index, row in enumerate(rows):
        ragged[index] = np.array(row, dtype)
    return ragged


def types(file: h5py.File) -> None:
    """Committed datatypes."""
    file["types/enum"] = h5py.enum_dtype(ENUM, "i2")
    file["types/compound"] = np.dtype([("x", "<f4"), ("colour", h5py.enum_dtype(ENUM, "i1")), ("m", "<f8", (3, 3))])
    file["types/enum"].attrs["units"] = "none"
    file.create_dataset("of_committed_type", (2,), file["types/compound"])


def links(file: h5py.File) -> None:
    """Links of every kind, and cycles."""
    group = file.create_group("links")
    group["soft"] = h5py.SoftLink("/datasets/chunked")
    group["dangling"] = h5py.SoftLink("/no/where")
    group["external"] = h5py.ExternalLink("other.h5", "/inside")
    group["hard"] = file["datasets/contiguous"]
    group["hard_type"] = file["types/enum"]
    group["back"] = file["/"]
    group["self"] = group
    group["naïve name"] = group["hard"]
    below = file.create_group("a").create_group("b")
    below["up"] = file["a"]


def build_attributes(folder: Path, count: int) -> Path:
    """A group with so many attributes."""
    path = folder / f"attributes_{count}.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for index in range(count):
            file.attrs[f"attribute {index:06d}"] = index
    return path


def build_nested(folder: Path, depth: int) -> Path:
    """Groups within groups."""
    path = folder / f"nested_{depth}.h5"
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(depth):
            group = group.create_group("g")
        group["bottom"] = 1
    return path


def build_members(folder: Path, count: int, libver: str) -> Path:
    """A group of so many soft links: more than are sorted."""
    path = folder / f"members_{libver}_{count}.h5"
    with h5py.File(path, "w", libver=libver) as file:
        group = file.create_group("many")
        for index in range(count):
            group[f"link {index:07d}"] = h5py.SoftLink("/")
    return path


def build_chunks(folder: Path, libver: str) -> Path:
    """Chunks in every kind of index that `libver` has, behind a user block, some never written."""
    path = folder / f"chunks_{libver}.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=512) as file:
        for name, how in {"": {}, " filtered": {"compression": "gzip", "fletcher32": True}}.items():
            make = file.create_group(f"index{name}").create_dataset
            make("single", data=np.arange(100), chunks=(100,), **how)
            make("fixed", data=np.arange(3000).reshape(50, 60), chunks=(7, 9), **how)
            make("paged", (60_000,), "i2", chunks=(10,), **how)[5000:50_000] = 1  # fixed array in pages
            make("growing", data=np.ones((100, 30)), chunks=(10, 7), maxshape=(None, 30), **how)
            make("growing second", data=np.arange(3000).reshape(30, 100), chunks=(10, 7), maxshape=(30, None), **how)
            make("growing paged", (300_000,), "i1", chunks=(2,), maxshape=(None,))[1000:290_000] = 1
            make("growing both", data=np.ones((90, 80)), chunks=(7, 7), maxshape=(None, None), **how)
            make("never", (10, 10), "i2", chunks=(5, 5), **how)
        early = h5p.create(h5p.DATASET_CREATE)
        early.set_chunk((10, 10))
        early.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        space = h5s.create_simple((55, 33), (60, 70))
        h5d.create(file["index"].id, b"implicit", h5t.STD_I32LE, space, early)
        skipped = file["index filtered"].create_dataset("mask", (20,), "i4", chunks=(10,), compression="gzip")
        skipped.id.write_direct_chunk((10,), bytes(40), filter_mask=1)
    return path


def build_filtered_heap(folder: Path) -> Path:
    """Groups whose links lie in filtered heaps: in one block, in many, and huge ones that lie apart.

    h5py has no way to ask for these filters, so libhdf5 itself is asked.
    """
    library = _library()
    library.H5Pset_link_phase_change.argtypes = [ctypes.c_int64, ctypes.c_uint, ctypes.c_uint]
    library.H5Pset_deflate.argtypes = [ctypes.c_int64, ctypes.c_uint]
    library.H5Pset_fletcher32.argtypes = [ctypes.c_int64]
    path = folder / "filtered_heap.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for name, count in {"few": 5, "many": 3000}.items():
            how = h5p.create(h5p.GROUP_CREATE)
            assert library.H5Pset_link_phase_change(how.id, 0, 0) >= 0
            assert library.H5Pset_deflate(how.id, 6) >= 0
            assert library.H5Pset_fletcher32(how.id) >= 0
            group = h5py.Group(h5py.h5g.create(file.id, name.encode(), gcpl=how))
            for index in range(count):
                group[f"link {index:05d}"] = h5py.SoftLink("/target" * (index % 7 + 1))
            if count > 5:
                group["huge"] = h5py.SoftLink("x" * 6000)
    return path


def _library() -> ctypes.CDLL:
    """The libhdf5 that h5py runs on, for what h5py has no way to ask for."""
    return ctypes.CDLL(str(next(Path(h5py.__file__).parents[1].glob("h5py.libs/libhdf5-*"))))


def build_widths(folder: Path, offsets: int, lengths: int, libver: str = "earliest") -> Path:
    """Addresses and lengths of so many bytes; the latest has a superblock extension, for its space comes in pages."""
    path = folder / f"widths_{offsets}_{lengths}_{libver}.h5"
    how, access = h5p.create(h5p.FILE_CREATE), h5p.create(h5p.FILE_ACCESS)
    how.set_sizes(offsets, lengths)
    if libver == "latest":
        how.set_file_space_strategy(h5f.FSPACE_STRATEGY_PAGE, True, 1)
    bound = {"earliest": h5f.LIBVER_EARLIEST, "latest": h5f.LIBVER_LATEST}[libver]
    access.set_libver_bounds(bound, h5f.LIBVER_LATEST)
    with h5py.File(h5f.create(bytes(path), h5f.ACC_TRUNC, how, access)) as file:
        file["plain"] = np.arange(10)
        file.create_dataset("chunked", data=np.arange(100), chunks=(10,), compression="gzip")
        file["plain"].attrs["text"], file["plain"].attrs["to"] = "in the global heap", file["chunked"].ref
        file["plain"].attrs["texts"] = ["of", "any", "length", ""]
        file["group/soft"] = h5py.SoftLink("/plain")
        file.create_dataset("external", (4,), "<i4", external=[("elsewhere.raw", 8, 16)])
        file.create_dataset("fixed", data=np.arange(100), chunks=(10,))
        file.create_dataset("single", data=np.arange(10), chunks=(10,), compression="gzip")
        for index in range(20 if lengths > 2 else 3):  # where libhdf5 itself cannot read its fractal heaps
            file[f"group/{index}"], file["plain"].attrs[f"more {index}"] = h5py.SoftLink("/"), index
    return path


def build_dense(folder: Path) -> Path:
    """Links and attributes in fractal heaps, more of them than a direct block or a leaf holds."""
    path = folder / "dense.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for index in range(3000):
            file[f"many/link {index:05d}"] = h5py.SoftLink("/few")
        for index in range(20):
            file[f"few/{index:02d}"] = h5py.SoftLink("/many")
            file["few"].attrs[f"attribute {index}"] = np.arange(index)
    return path


def build_shared_messages(folder: Path, listed: int) -> Path:
    """Types, spaces, fill values, filters and attributes in heaps of shared messages, indexed by a list or a B-tree."""
    library, path = _library(), folder / f"shared_{listed}.h5"
    library.H5Pset_shared_mesg_nindexes.argtypes = [ctypes.c_int64, ctypes.c_uint]
    library.H5Pset_shared_mesg_index.argtypes = [ctypes.c_int64, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint]
    library.H5Pset_shared_mesg_phase_change.argtypes = [ctypes.c_int64, ctypes.c_uint, ctypes.c_uint]
    how, access = h5p.create(h5p.FILE_CREATE), h5p.create(h5p.FILE_ACCESS)
    access.set_libver_bounds(h5f.LIBVER_LATEST, h5f.LIBVER_LATEST)
    assert library.H5Pset_shared_mesg_nindexes(how.id, 2) >= 0
    assert library.H5Pset_shared_mesg_index(how.id, 0, 1 << 1 | 1 << 3 | 1 << 5 | 1 << 11, 8) >= 0
    assert library.H5Pset_shared_mesg_index(how.id, 1, 1 << 12, 8) >= 0
    assert library.H5Pset_shared_mesg_phase_change(how.id, listed, max(0, listed - 1)) >= 0
    with h5py.File(h5f.create(bytes(path), h5f.ACC_TRUNC, how, access)) as file:
        for index in range(30):
            data = file.create_dataset(
                f"d{index}", (10, 20, 30 + index % 3), "<f4", fillvalue=5, chunks=(5, 5, 5), compression="gzip"
            )
            data.attrs["units"], data.attrs["numbers"] = "a long text that all have" * 2, np.arange(12)
            for more in range(index % 2 * 12):  # in a heap of their own
                data.attrs[f"more {more}"] = np.arange(12)
    return path


def build_superblock(folder: Path, version: int, user_block: int) -> Path:
    """A superblock of a version behind a user block."""
    library, path = _library(), folder / f"superblock_{version}_{user_block}.h5"
    library.H5Pset_istore_k.argtypes = [ctypes.c_int64, ctypes.c_uint]
    how, access = h5p.create(h5p.FILE_CREATE), h5p.create(h5p.FILE_ACCESS)
    how.set_userblock(user_block)
    if version == 1:  # which is there to say how wide the nodes are that index chunks
        assert library.H5Pset_istore_k(how.id, 64) >= 0
    bounds = (h5f.LIBVER_EARLIEST, h5f.LIBVER_EARLIEST, h5f.LIBVER_V18, h5f.LIBVER_LATEST)
    access.set_libver_bounds(bounds[version], h5f.LIBVER_LATEST)
    with h5py.File(h5f.create(bytes(path), h5f.ACC_TRUNC, how, access)) as file:
        file.create_dataset("chunked", data=np.arange(1000), chunks=(3,))
        file["group/inside"], file.attrs["a"] = np.arange(3), 1
    return path


def build_numbers(folder: Path, libver: str) -> Path:
    """Attributes of integers of any width, floats of any layout, complex numbers, and of committed types."""
    library, path = _library(), folder / f"numbers_{libver}.h5"
    library.H5Pset_relax_file_integrity_checks.argtypes = [ctypes.c_int64, ctypes.c_uint64]
    access = h5p.create(h5p.FILE_ACCESS)
    bounds = {"earliest": h5f.LIBVER_EARLIEST, "latest": h5f.LIBVER_LATEST}
    access.set_libver_bounds(bounds[libver], h5f.LIBVER_LATEST)
    assert library.H5Pset_relax_file_integrity_checks(access.id, 1) >= 0  # H5F_RFIC_UNUSUAL_NUM_UNUSED_NUMERIC_BITS
    kinds: dict[str, Any] = {"complex": h5t.COMPLEX_IEEE_F32LE, "complex big": h5t.COMPLEX_IEEE_F64BE}
    for name, base in (("i", h5t.STD_I32LE), ("u", h5t.STD_U32BE), ("I", h5t.STD_I32BE)):
        for size, bits, offset in ((4, 5, 3), (4, 31, 1), (4, 17, 0), (3, 20, 2), (7, 50, 3), (8, 63, 1)):
            kind = kinds[f"{name}{size} {bits} {offset}"] = base.copy()
            kind.set_size(size)
            kind.set_precision(bits)
            kind.set_offset(offset)
    # bits in all, place of the sign, place and size of the exponent, of the mantissa, what the exponent is more
    for layout in ((16, 15, 7, 8, 0, 7, 127), (8, 7, 3, 4, 0, 3, 7), (24, 23, 16, 7, 0, 16, 63)):
        bits, *fields, bias = layout
        kind = kinds[f"float {bits}"] = h5t.IEEE_F32LE.copy()
        kind.set_fields(*fields)
        kind.set_precision(bits)
        kind.set_ebias(bias)
    with h5py.File(h5f.create(bytes(path), h5f.ACC_TRUNC, None, access)) as file:
        for name, kind in kinds.items():
            raw = bytes((37 * place + 11 * len(name)) % 256 for place in range(3 * kind.get_size()))
            values = np.frombuffer(raw, f"V{kind.get_size()}")
            h5a.create(file.id, name.encode(), kind, h5s.create_simple((3,))).write(values, mtype=kind)
        file["type"], file["pair"] = np.dtype("<i2"), np.dtype([("a", "<f4"), ("b", "S3")])
        file.attrs.create("committed", [1, 2], dtype=file["type"])
        file.attrs.create("committed pair", np.zeros(2, file["pair"].dtype), dtype=file["pair"])
    return path


def build_references(folder: Path) -> Path:
    """References of HDF5 1.12, in the file and to another: objects, regions, attributes, and none.

    h5py has no way to make them, so libhdf5 itself is asked.
    """
    library, path, other = _library(), folder / "references.h5", folder / "elsewhere.h5"
    kind = ctypes.c_int64.in_dll(library, "H5T_STD_REF_g").value
    number, name, place = ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p
    library.H5Rcreate_object.argtypes = [number, name, number, place]
    library.H5Rcreate_region.argtypes = [number, name, number, number, place]
    library.H5Rcreate_attr.argtypes = [number, name, name, number, place]
    library.H5Acreate2.argtypes, library.H5Acreate2.restype = [number, name, *[number] * 4], number
    library.H5Dcreate2.argtypes, library.H5Dcreate2.restype = [number, name, *[number] * 5], number
    library.H5Awrite.argtypes = library.H5Dwrite.argtypes = [number, number, place]
    with h5py.File(path, "w", libver="latest") as file, h5py.File(other, "w") as elsewhere:
        for each in (file, elsewhere):
            each["d"] = np.arange(20).reshape(4, 5)
            each["d"].attrs["units"] = "K"
        for name_, to in (("here", file), ("there", elsewhere)):
            references = (ctypes.c_char * 64 * 5)()
            slab, points = to["d"].id.get_space(), to["d"].id.get_space()
            slab.select_hyperslab((1, 1), (2, 3))
            points.select_elements(np.array([[1, 2], [3, 0]]))
            assert library.H5Rcreate_object(to.id.id, b"/d", 0, references[0]) >= 0
            assert library.H5Rcreate_region(to.id.id, b"/d", slab.id, 0, references[1]) >= 0
            assert library.H5Rcreate_region(to.id.id, b"/d", points.id, 0, references[2]) >= 0
            assert library.H5Rcreate_attr(to.id.id, b"/d", b"units", 0, references[3]) >= 0
            space = h5s.create_simple((5,))
            attribute = library.H5Acreate2(file.id.id, name_.encode(), kind, space.id, 0, 0)
            assert library.H5Awrite(attribute, kind, references) >= 0
            h5a.AttrID(attribute)
        single = h5s.create(h5s.SCALAR)
        assert h5d.DatasetID(library.H5Dcreate2(file.id.id, b"of them", kind, single.id, 0, 0, 0))
    return path


def build_compound(folder: Path, version: int) -> Path:
    """A data set, a committed type and an attribute of a compound with an array in it, of a version of its message.

    libhdf5 makes none of version 1 with an array, whose extents stand beside the member: it makes a gap of that.
    """
    path = folder / f"compound_{version}.h5"
    value = np.array([([[1, -2, 3], [4, 5, -6]], 1.25), ([[7, 8, 9], [10, 11, 12]], 2.5)], COMPOUND)
    kind = COMPOUND
    if version == 1:
        kind = np.dtype({"names": ["grid", "y"], "formats": ["<i4", "<f8"], "offsets": [0, 24], "itemsize": 32})
    bounds = {1: "earliest", 2: "earliest", 3: "v108", 4: "v112", 5: "v200"}
    with h5py.File(path, "w", libver=(bounds[version], "latest")) as file:
        written = value if version > 1 else np.zeros(2, kind)
        written["y"] = value["y"]
        file["data"], file["type"] = written, kind
        file.attrs["compound"] = written
    raw = bytearray(path.read_bytes())
    if version == 1:
        for at in _found(raw, b"grid\0\0\0\0"):
            raw[at + 12], raw[at + 24 : at + 32] = 2, struct.pack("<II", 2, 3)
        for element in value:
            for at in _found(raw, element["y"].tobytes()):
                raw[at - 24 : at] = element["grid"].tobytes()
    path.write_bytes(raw)
    return path


COMPOUND = np.dtype([("grid", "<i4", (2, 3)), ("y", "<f8")])


def _found(raw: bytearray, mark: bytes) -> list[int]:
    places, at = [], raw.find(mark)
    while at >= 0:
        places.append(at)
        at = raw.find(mark, at + 1)
    return places


def build_virtual(folder: Path, libver: str) -> Path:
    """Virtual data sets whose mappings are selections of every kind; the latest libhdf5 shares names between them."""
    path = folder / f"virtual_{libver}.h5"
    large = 1 << 33
    mappings = {
        "all": [("a.h5", "d", _selected(4), _selected(4))],
        "parts": [
            ("a.h5", "d", _selected(8, (0, 4)), _selected(4)),
            ("b.h5", "e/f", _selected(8, (4, 4)), _selected(4)),
        ],
        "irregular": [("a.h5", "d", _selected(9, (0, 2), (5, 3)), _selected(5))],
        "large": [
            ("a.h5", "d", _selected(large, (0, large // 2)), _selected(large // 2)),
            ("a.h5", "e", _selected(large, (large // 2, 5), (large // 2 + 9, 3)), _selected(8)),
        ],
        "shared": [
            (
                f"a long name {n // 2}.h5" if n < 6 else ".",
                f"a name as long {n % 2}",
                _selected(16, (2 * n, 2)),
                _selected(2),
            )
            for n in range(8)
        ],
    }
    with h5py.File(path, "w", libver=libver) as file:
        for name, parts in mappings.items():
            how = h5p.create(h5p.DATASET_CREATE)
            for source, dataset, to, of in parts:
                how.set_virtual(to, source.encode(), dataset.encode(), of)
            h5d.create(file.id, name.encode(), h5t.STD_I32LE, h5s.create_simple(parts[0][2].shape), how)
        strided = h5s.create_simple((20,))
        strided.select_hyperslab((0,), (4,), (5,), (2,))
        how = h5p.create(h5p.DATASET_CREATE)
        how.set_virtual(strided, b"a.h5", b"d", _selected(8))
        h5d.create(file.id, b"strided", h5t.STD_I32LE, h5s.create_simple((20,)), how)
    return path


def _selected(size: int, *slabs: tuple[int, int]) -> Any:
    """A dataspace of one dimension, of which some slabs are selected; without any, all of it."""
    space = h5s.create_simple((size,))
    for number, (begin, count) in enumerate(slabs):
        space.select_hyperslab((begin,), (count,), op=h5s.SELECT_OR if number else h5s.SELECT_SET)
    return space


def build_whole_edges(folder: Path) -> Path:
    """Filtered chunks of which those at the edges are left as they are (layout version 4, flag 0)."""
    library, path = _library(), folder / "edges.h5"
    library.H5Pset_chunk_opts.argtypes = [ctypes.c_int64, ctypes.c_uint]
    without = None
    shapes: dict[str, tuple[tuple[int, ...], tuple[int | None, ...]]] = {
        "single": ((7,), (10,)),
        "fixed": ((25,), (25,)),
        "growing": ((25,), (without,)),
        "growing both": ((25, 13), (without, without)),
    }
    with h5py.File(path, "w", libver="latest") as file:
        for name, (shape, longest) in shapes.items():
            how = h5p.create(h5p.DATASET_CREATE)
            how.set_chunk((10,) * len(shape))
            how.set_deflate(6)
            assert library.H5Pset_chunk_opts(how.id, 2) >= 0  # H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS
            space = h5s.create_simple(shape, tuple(h5s.UNLIMITED if most is None else most for most in longest))
            h5py.Dataset(h5d.create(file.id, name.encode(), h5t.STD_I32LE, space, how))[...] = 1
    return path


def build_strings(folder: Path) -> Path:
    """Strings of every padding and character set, of fixed and of variable length."""
    path = folder / "strings.h5"
    values = np.array([b"ab    ", b"a\0b  ", b"\xc3\xa9xyz\0"], "S6").view("V6")
    with h5py.File(path, "w") as file:
        for padding in (h5t.STR_NULLTERM, h5t.STR_NULLPAD, h5t.STR_SPACEPAD):
            for charset in (h5t.CSET_ASCII, h5t.CSET_UTF8):
                for length in (6, h5t.VARIABLE):
                    kind, name = h5t.C_S1.copy(), f"{padding} {charset} {'fixed' if length == 6 else 'variable'}"
                    kind.set_size(length)
                    kind.set_strpad(padding)
                    kind.set_cset(charset)
                    h5d.create(file.id, name.encode(), kind, h5s.create_simple((3,)))
                    if length == 6:
                        h5a.create(file.id, name.encode(), kind, h5s.create_simple((3,))).write(values, mtype=kind)
    return path


def build_new_floats(folder: Path) -> Path:
    """The floats of 16 and 8 bits that HDF5 2.0 has names for."""
    library, path = _library(), folder / "new_floats.h5"
    library.H5Tcopy.argtypes, library.H5Tcopy.restype = [ctypes.c_int64], ctypes.c_int64
    with h5py.File(path, "w", libver="latest") as file:
        for name in ("BFLOAT16LE", "BFLOAT16BE", "F8E4M3", "F8E5M2"):
            kind = h5t.TypeFloatID(library.H5Tcopy(ctypes.c_int64.in_dll(library, f"H5T_FLOAT_{name}_g").value))
            raw = (np.arange(16 * kind.get_size(), dtype="u1") * 37).view(f"V{kind.get_size()}")
            h5a.create(file.id, name.encode(), kind, h5s.create_simple((16,))).write(raw, mtype=kind)
            h5d.create(file.id, name.encode(), kind, h5s.create_simple((3,)))
    return path


def build_continued(folder: Path, libver: str) -> Path:
    """Object headers that go on in further blocks."""
    path = folder / f"continued_{libver}.h5"
    with h5py.File(path, "w", libver=libver) as file:
        for name in "ab":
            file[name] = 1
        for index in range(8):  # one after the other, so that no header can grow where it is
            file["a"].attrs[f"attribute {index}"], file["b"].attrs[f"attribute {index}"] = np.arange(index + 20), index
            file[f"between {index}"] = 1
    return path


def build_old_fill_values(folder: Path) -> Path:
    """Fill values as files had them before there was the fill value message of today, and in that of version 1."""
    path = folder / "old_fill.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        for name in ("old", "one"):
            file.create_dataset(name, (3,), "<i4", fillvalue=77)
        addresses = [h5g.get_objinfo(file[name].id).objno[0] for name in ("old", "one")]
    raw = bytearray(path.read_bytes())
    for name, address in zip(("old", "one"), addresses, strict=True):
        at = raw.index(b"\5\0\x10\0", address)  # a message of type 5 that has 16 bytes
        if name == "old":
            raw[at] = 0  # no message
        else:
            assert raw[at + 8] == 2
            raw[at + 8] = 1
    path.write_bytes(raw)
    return path


def build_old_layouts(folder: Path) -> Path:
    """Layout messages of versions 1 and 2, and a link that is the user's own: no library writes them any more."""
    path = folder / "old_layouts.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        for name in ("one", "two"):
            file[name] = np.arange(6, dtype="<i4")
        file.create_dataset("chunked", data=np.arange(6, dtype="<i4"), chunks=(4,))
        file["links/external"] = h5py.ExternalLink("file", "/object")
        addresses = [h5g.get_objinfo(file[name].id).objno[0] for name in ("one", "two", "chunked")]
    raw = bytearray(path.read_bytes())
    for number, address in enumerate(addresses):
        at = raw.index(b"\x08\0\x18\0", address) + 8  # a message of type 8 that has 24 bytes
        chunked = raw[at + 1] == 2
        place = raw[at + (3 if chunked else 2) :][:8]
        sides = struct.pack("<II", 4, 4) if chunked else struct.pack("<I", 6 * 4)
        body = bytes((1 + number % 2, len(sides) // 4, raw[at + 1], 0, 0, 0, 0, 0)) + place + sides
        raw[at : at + 24] = body.ljust(24, b"\0")
    at = raw.index(b"\x01\x08\x40\x08external")
    raw[at + 2] = 187
    path.write_bytes(raw)
    return path


def build_cache_image(folder: Path) -> Path:
    """Every construct in a file whose writer left its structures in an image of its cache, not where they belong."""
    library, path = _library(), folder / "cache_image.h5"
    library.H5Pset_mdc_image_config.argtypes = [ctypes.c_int64, ctypes.c_void_p]
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_libver_bounds(h5f.LIBVER_LATEST, h5f.LIBVER_LATEST)
    # H5AC_cache_image_config_t: its version, whether an image is made, with the cache's size, how long entries stay
    assert library.H5Pset_mdc_image_config(access.id, struct.pack("=i??2xi", 1, True, False, -1)) >= 0
    how = h5p.create(h5p.FILE_CREATE)
    how.set_userblock(512)
    with h5py.File(h5f.create(bytes(path), h5f.ACC_TRUNC, how, access)) as file:
        file["plain"], file["group/b"] = np.arange(5), 1
        file.attrs["x"] = 5
        datasets(file.create_group("datasets"))
        attributes(file.create_group("attributes"), file["datasets"])
        types(file)
        links(file)
        for index in range(40):  # in a heap and a B-tree of their own
            file[f"many/link {index:02d}"], file["plain"].attrs[f"attribute {index}"] = h5py.SoftLink("/a"), index
    return path


def build_unclosed(folder: Path, libver: str) -> Path:
    """A file as its writer has it open: the newest ones say so in their superblock."""
    path, copy = folder / "open.h5", folder / f"unclosed_{libver}.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file["a"] = np.arange(5)
        grows = file.create_dataset("grows", (0,), "<i4", maxshape=(None,), chunks=(10,))
        file["group/b"] = 1
        file.flush()
        if libver == "latest":
            file.swmr_mode = True
            grows.resize((100,))
            grows[:] = 1
            grows.flush()
        copy.write_bytes(path.read_bytes())
    return copy


def build_vax(folder: Path, version: int) -> Path:
    """Floats in VAX order: libhdf5 makes no datatype message of the version 3 that this needs."""
    path = folder / f"vax_{version}.h5"
    with h5py.File(path, "w") as file:
        vax = h5t.IEEE_F32LE.copy()
        vax.set_order(h5t.ORDER_VAX)
        data = h5d.create(file.id, b"d", vax, h5s.create_simple((3,)))
        h5a.create(data, b"v", vax, h5s.create_simple((3,))).write(np.zeros(3, "f4"), mtype=vax)
    values = np.array([1.5, -2.25, 0.1], "<f4").view("<u2").reshape(3, 2)[:, ::-1].tobytes()
    raw = path.read_bytes().replace(b"\x11\x61\x1f", bytes([version << 4 | 1]) + b"\x61\x1f")
    at = raw.rindex(b"\x61\x1f") + 19 + 28  # behind the type and the space
    path.write_bytes(raw[:at] + values + raw[at + 12 :])
    return path


def build_small(folder: Path) -> Path:
    """The structure of the giant, 8 MiB."""
    return _sparse(folder / "small.h5", 8 << 20)


def build_giant(folder: Path) -> Path:
    """100 GiB, of which the disk holds next to nothing."""
    return _sparse(folder / "giant.h5", 100 << 30)


def _sparse(path: Path, size: int) -> Path:
    late = h5p.create(h5p.DATASET_CREATE)
    late.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    late.set_fill_time(h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        for index in range(50):
            space = h5s.create_simple((size // 50,))
            h5d.create(file.id, f"part {index}".encode(), h5t.STD_U8LE, space, late)
            file[f"part {index}"].attrs["units"] = "counts"
    return path
