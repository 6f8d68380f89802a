"""Places that cannot take a command's results: what is in the way, and what the process lacks."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Prepare = Callable[[Path], None]
PRECIOUS = "years of work\n"
"""What stands in files that belong to somebody."""
ENDINGS = (".html", ".npz", ".txt", ".xml")
"""Of what commands write into one file."""


@dataclass(frozen=True)
class Place:
    """Where results shall go.

    Attributes:
        out: the path, under a case's folder or absolute; `{}` stands for the ending.
        before: makes what stands there, in the case's folder.
        limit: takes something away from the process, in it.
        usable: whether a result there is right too.
        files: whether only a command that writes one file is sent there; None: any.
    """

    out: str = "out{}"
    before: Prepare | None = None
    limit: Callable[[], None] | None = None
    usable: bool = False
    files: bool | None = None


def _file(name: str, content: str = PRECIOUS) -> Prepare:
    return lambda folder: (folder / name).write_text(content) and None


def _folder_with(name: str, content: str = PRECIOUS) -> Prepare:
    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    return write


def _link(name: str, to: str) -> Prepare:
    return lambda folder: (folder / name).symlink_to(to)


def _read_only(folder: Path) -> None:
    (folder / "closed").mkdir()
    (folder / "closed").chmod(0o555)


def _read_only_file(folder: Path) -> None:
    for ending in ENDINGS:
        (folder / f"out{ending}").write_text(PRECIOUS)
        (folder / f"out{ending}").chmod(0o444)


def _folders(folder: Path) -> None:
    for ending in ENDINGS:
        (folder / f"out{ending}").mkdir()


def _deep(folder: Path) -> None:
    (folder / "a").mkdir()


def no_file_larger_than(size: int) -> Callable[[], None]:
    """As a disk of which so many bytes are left."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def few_handles() -> None:
    used = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, used + 1))


def memory(megabytes: int) -> Callable[[], None]:
    def limit() -> None:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        whole = size + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (whole, whole))

    return limit


def closed(number: int) -> Callable[[], None]:
    """As `>&-` of a shell does: Python then has no such stream at all."""

    def limit() -> None:
        os.close(number)
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)

    return limit


def broken_pipe() -> None:
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 1)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115


def full_output() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115


def no_temporary_folder() -> None:
    for name in ("TMPDIR", "TEMP", "TMP"):
        os.environ[name] = "/nowhere"
    tempfile.tempdir = None


def gone_folder() -> None:
    place = tempfile.mkdtemp()
    os.chdir(place)
    Path(place).rmdir()


def _environment(name: str, value: str) -> Callable[[], None]:
    def limit() -> None:
        os.environ[name] = value

    return limit


PLACES: dict[str, Place] = {
    "as it should be": Place(usable=True),
    "a file in the way": Place(before=_file("out"), files=False),
    "a folder in the way": Place(before=_folders, files=True),
    "below a file": Place("letter/out{}", _file("letter")),
    "the device full": Place("/dev/full", usable=False, files=True),
    "the device null": Place("/dev/null", usable=True, files=True),
    "a device for a folder": Place("/dev/null", files=False),
    "below a device": Place("/dev/null/out{}"),
    "in proc": Place("/proc/out{}"),
    "in sys": Place("/sys/out{}"),
    "a read-only folder": Place("closed/out{}", _read_only),
    "a read-only file": Place(before=_read_only_file, files=True, usable=True),
    "a name of 300 letters": Place("x" * 300 + "{}"),
    "a name of 250 letters": Place("x" * 250 + "{}", usable=True),
    "a path of 5,000 letters": Place("a/" + "a/" * 2500 + "out{}", _deep),
    "a dangling link": Place("link", _link("link", "nothing"), usable=True),
    "a dangling link to a folder that is not there": Place(
        "link", _link("link", "no/thing"), usable=True
    ),
    "a link in a loop": Place("link", _link("link", "link")),
    "a link to a device": Place("link", _link("link", "/dev/full")),
    "a name of two lines": Place("two\nlines{}", usable=True),
    "a name that writes backwards": Place("\u202egnp{}", usable=True),
    "a name of control characters": Place("\x1b[31mred\x07{}", usable=True),
    "a name that is no text": Place(os.fsdecode(b"\xff\xfe{}"), usable=True),
    "a name of blanks": Place("   {}", usable=True),
    "an empty name": Place(""),
    "the folder itself": Place(".", usable=True, files=False),
    "the folder above": Place("..", usable=True, files=False),
    "somebody's folder": Place("thesis", _folder_with("thesis/chapter1.tex"), files=False),
    "another command's folder": Place("o", _folder_with("o/.facebench", "paint\n"), files=False),
    "a lock that is a folder": Place("o", _folder_with("o/.lock/x"), files=False),
    "a lock that leads elsewhere": Place(
        "o",
        lambda at: (_folder_with("o/.facebench", "")(at), _link("o/.lock", "/nowhere/x")(at))[0],
        files=False,
    ),
    "a mark that is a folder": Place("o", _folder_with("o/.facebench/x"), files=False),
    "no byte left": Place(limit=no_file_larger_than(0)),
    "100 bytes left": Place(limit=no_file_larger_than(100)),
    "2,000 bytes left": Place(limit=no_file_larger_than(2000), usable=True),
    "no handles": Place(limit=few_handles, usable=True),
    "30 MB of memory": Place(limit=memory(30), usable=True),
    "300 MB of memory": Place(limit=memory(300), usable=True),
    "no standard output": Place(limit=closed(1), usable=True),
    "no error stream": Place(limit=closed(2), usable=True),
    "no standard input": Place(limit=closed(0), usable=True),
    "a pipe that nobody reads": Place(limit=broken_pipe, usable=True),
    "a full terminal": Place(limit=full_output, usable=True),
    "no temporary folder": Place(limit=no_temporary_folder, usable=True),
    "a working folder that is gone": Place(limit=gone_folder, usable=True),
    "no home": Place(limit=_environment("HOME", "/nowhere"), usable=True),
    "a place for runs that is not there": Place(
        limit=_environment("MLFLOW_TRACKING_URI", "sqlite:////nowhere/m.db"), usable=True
    ),
}
