"""A fresh interpreter that runs a module of memx: no lock, no thread and no library of this process is in it."""

import os
import subprocess
import sys
from collections.abc import Collection

ENVIRONMENT = {
    # a reader of metadata gains nothing from threads, and each costs a stack and an arena
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    # files are only read, often from where no lock can be had
    "HDF5_USE_FILE_LOCKING": "FALSE",
}


def start(
    module: str,
    *,
    listens: bool = True,
    site: bool = False,
    own_group: bool = True,
    stderr: int | None = subprocess.DEVNULL,
    pass_fds: Collection[int] = (),
) -> "subprocess.Popen[bytes]":
    """The process of an interpreter in which `module.main()` runs, with a pipe to its standard input.

    `listens`: whether its standard output is a pipe too; else it leads nowhere. `site`: what the module `site` adds
    costs 10 ms, and only the user's own modules may need it. `own_group`: it can be killed with all that it started,
    and Ctrl-C does not reach it.
    """
    boot = f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main()"
    return subprocess.Popen(
        [sys.executable, *([] if site else ["-S"]), "-c", boot],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if listens else subprocess.DEVNULL,
        stderr=stderr,
        env=ENVIRONMENT | os.environ,
        bufsize=0,
        pass_fds=tuple(pass_fds),
        process_group=0 if own_group else None,
    )


def tell(process: "subprocess.Popen[bytes]", lines: bytes) -> bool:
    """Writes all of `lines` to its standard input; False where it has died."""
    assert process.stdin is not None
    try:
        while lines:
            lines = lines[process.stdin.write(lines) :]
    except BrokenPipeError:
        return False
    return True
