"""What the formats' own libraries say of a file, compared with what memx said."""


class NotReadable(Exception):
    """The library itself cannot read the file: there is nothing to compare with."""
