"""A process that reads one hostile file after another and says what became of each."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = 2 * 2**30
"""Bytes that reading may take beside what the process holds before."""


_OF_MEMORY = ("bad_alloc", "allocate", "memory")


def main(folder: Path) -> None:
    """Cases from standard input, an answer each to what was standard output."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    warnings.simplefilter("ignore")
    from facebench.tests.support.hostile_input import readers as known
    from facebench.tests.support.hostile_input.corpus import Case

    readers = {reader.name: reader for reader in known.READERS}
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        case = Case(**json.loads(line))
        print(json.dumps(_result(case, readers, folder)), file=answers, flush=True)


@contextmanager
def _limited_memory() -> Iterator[None]:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    whole = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, whole[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, whole)


def _result(case, readers, folder: Path) -> dict[str, object]:  # type: ignore[no-untyped-def]
    reader = readers[case.reader]
    place = folder / "cases" / f"{abs(hash((case.reader, case.attack, case.seed))):x}"
    canary = folder / "canary"
    try:
        path = _laid_out(case, readers, folder, place, canary)
        before = _files(folder, place)
        start, cpu = time.perf_counter(), time.process_time()
        _forget_peak()
        told, said = _read(reader, path)
        facts = {
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - cpu,
            "peak": _peak(),
        }
        if canary.exists():
            told, said = "pickle ran", str(canary)
            canary.unlink()
        elif strangers := _files(folder, place) - before:
            told, said = "wrote outside", ", ".join(sorted(strangers))
        elif case.attack == "sound" and told == "answered":
            told = "refused"  # what is not hostile at all
        return {"outcome": told, "said": said, **facts}
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _laid_out(case, readers, folder: Path, place: Path, canary: Path) -> Path:  # type: ignore[no-untyped-def]
    """The sound files with one of them attacked, in a folder of their own."""
    from facebench.tests.support.hostile_input.corpus import attacked

    sound = folder / "sound"
    index = json.loads((sound / "index.json").read_text())
    number, relative = index[case.reader]
    shutil.copytree(sound / number, place / "in")
    path = place / "in" / relative
    others = [sound / n / r for n, r in index.values()]
    content = attacked(case, readers[case.reader], path.read_bytes(), others, canary)
    path.write_bytes(content)
    return path


def _read(reader, path: Path) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    from facebench.errors import FacebenchError

    try:
        with _limited_memory():
            reader.read(path)
    except FacebenchError as error:
        said = str(error)
        if _of_memory(error):
            return "memory", said
        return ("several lines" if "\n" in said or "\r" in said else "answered"), said
    except MemoryError as error:
        return "memory", repr(error)
    except BaseException as error:
        kind = "memory" if _of_memory(error) else "traceback"
        return kind, _where(error)
    return "accepted", ""


def _of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out anywhere on the way."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an error may be its own cause
        seen.add(id(error))
        words = str(error).lower()
        # Not "alloc": HDF5 says of damage that it lies past the end of an allocation.
        if isinstance(error, MemoryError) or any(w in words for w in _OF_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _where(error: BaseException) -> str:
    import traceback

    frames = list(traceback.extract_tb(error.__traceback__))
    own = [f for f in frames if "facebench" in f.filename] or frames
    last = own[-1]
    return (
        f"{type(error).__name__}: {str(error)[:200]!r} at {Path(last.filename).name}:{last.lineno}"
    )


def _files(folder: Path, place: Path) -> set[str]:
    """What stands around a case: anything new there was written outside of it."""
    around = {*folder.iterdir(), *place.iterdir()}
    return {str(path) for path in around if path.name not in ("canary", "errors.txt")}


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Most bytes resident since `_forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
