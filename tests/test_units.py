import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.errors import UsageError
from memx.units import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("65536", 65536),
        ("64K", 65536),
        ("64k", 65536),
        ("64KB", 65536),
        ("64KiB", 65536),
        ("64 KiB", 65536),
        (" 64M ", 64 << 20),
        ("2G", 2 << 30),
        ("2GiB", 2 << 30),
        ("1T", 1 << 40),
        ("1P", 1 << 50),
        ("1.5M", 3 << 19),
        ("0.5K", 512),
        ("10B", 10),
        ("12345678901234567890", 12345678901234567890),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", " ", "K", "-1", "+1", "1e3", "1_000", "64X", "64KK", "64iB", "0x10", ".5M", "1.M", "٣", "1,5M", "nan"]
)
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="is no size") as error:
        parse_size(text)
    assert repr(text) in error.value.message


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (1 << 20, "1 MiB"),
        (1 << 30, "1 GiB"),
        (1 << 40, "1 TiB"),
        (1 << 50, "1 PiB"),
        (-1536, "-1.5 KiB"),
    ],
)
def test_sizes_as_memx_writes_them(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 1 << 60))
def test_bytes_are_read_back(size: int) -> None:
    assert parse_size(str(size)) == size


@given(st.integers(0, 1023), st.sampled_from("KMGTP"), st.sampled_from(["", "B", "iB", "ib", "b"]))
def test_every_spelling_of_a_unit_is_the_same(number: int, unit: str, ending: str) -> None:
    assert parse_size(f"{number}{unit}{ending}") == number << 10 * ("KMGTP".index(unit) + 1)


@given(st.integers(0, 1 << 58))
def test_what_is_written_can_be_read_and_is_near(size: int) -> None:
    text = format_size(size)
    assert len(text.split()[0]) <= 6
    assert abs(parse_size(text) - size) <= size * 0.05
    assert float(text.split()[0]) < 1024


@given(st.text())
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        assert parse_size(text) >= 0
    except UsageError:
        pass
