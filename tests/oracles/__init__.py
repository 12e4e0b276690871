"""What the formats' own libraries say of a file, compared with what memx said."""


class NotReadable(Exception):  # noqa: N818 - a verdict on the library, not an error of the tests
    """The library itself cannot read the file: there is nothing to compare with."""
