"""Puts each page of man/ into the section that its name ends with, when the wheel is built."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Pages(BuildHookInterface):
    """`man/memx.1` goes to `share/man/man1`, `man/memx-guide.7` to `share/man/man7`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling calls this before it gathers files."""
        for page in sorted(Path(self.root, "man").iterdir()):
            build_data["shared_data"][str(page)] = f"share/man/man{page.suffix[1:]}/{page.name}"
