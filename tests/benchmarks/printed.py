"""Writes what the commands of README and docs print into their pages, from the folder of a demo.

    make demo && python tests/benchmarks/printed.py demo --tutorial

Each page says by `<!-- printed: NAME -->` where a text belongs. All of them are kept in
`docs/printed.json`, with which `tests/docs/test_printed.py` compares every page, so that no two
pages can disagree. With --tutorial the commands of the tutorial are run too, two minutes of a core;
else its texts stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from facebench.results.compare import RunGroup, compare
from facebench.results.run.folder import RunFolder
from facebench.results.tables.basis import short_digest
from facebench.results.tables.scenes import completeness
from facebench.results.tables.table import interval_text, number_text, p_text, share_text

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "printed.json"
BLOCK = re.compile(r"<!-- printed: ([\w-]+) -->\n(.*?)<!-- end of it -->", re.DOTALL)
RUNS = ("mean-face", "ours-short", "ours")
COMPARE = "compare runs/mean-face runs/ours-short runs/ours"
BASELINE = "gate runs/ours --baseline baseline.json --update-baseline"
GATE = "gate runs/ours-short --rules gates.toml --baseline baseline.json"


def blocks(demo: Path, tutorial: bool) -> Iterator[tuple[str, str]]:
    """Name and text of everything that is printed from a demo's folder."""
    (group,) = compare([RunFolder.existing(demo / name) for name in RUNS]).groups
    yield "errors", errors_table(group)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        (home / "runs").symlink_to(demo.resolve())
        (home / "gates.toml").write_text(toml_of("gates.md"))
        yield "compare", fenced(printed(COMPARE, home))
        printed(BASELINE, home)
        yield "gate", fenced(printed(GATE, home, code=1))
    if tutorial:
        yield from tutorial_blocks()


def tutorial_blocks() -> Iterator[tuple[str, str]]:
    """What the tutorial's commands print, run in their order."""
    page = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    lines = [
        line
        for part in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
        for line in part.splitlines()
    ]
    wanted = ("synth micc", "micc ", "compare runs/mean-face runs/ours", "gate ")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        (home / "gates.toml").write_text(toml_of("tutorial.md"))
        done = [line.removeprefix("facebench ") for line in lines if line.startswith("facebench ")]
        for line in done:
            if line.startswith(wanted) and "--track" not in line:
                failing = line.startswith("gate runs/mean-face")
                text = printed(line, home, code=1 if failing else 0)
                if line.startswith("compare"):
                    yield "tutorial-compare", fenced(text)
                elif failing:
                    yield "tutorial-gate", fenced(text)


def printed(line: str, home: Path, code: int = 0) -> str:
    """What a command prints on a terminal of 80 columns without colour.

    Raises:
        SystemExit: it ends with another code.
    """
    settings = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "xterm", "TTY_COMPATIBLE": "1"}
    settings["MLFLOW_TRACKING_URI"] = f"sqlite:///{home / 'mlflow.db'}"
    settings["PYTHONPATH"] = os.pathsep.join([str(ROOT.parent), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, "-m", "facebench", *shlex.split(line)]
    done = subprocess.run(
        words, cwd=home, env=os.environ | settings, capture_output=True, text=True, check=False
    )
    if done.returncode != code:
        raise SystemExit(f"facebench {line} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def fenced(text: str) -> str:
    """Text as a block of a page."""
    lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
    return f"```text\n{lines}\n```\n"


def toml_of(page: str) -> str:
    """The rules that a page shows."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)[0]


def errors_table(group: RunGroup) -> str:
    """The short table of the first pages: errors, and the best method's difference."""
    scenes = group.scenes
    head = ["error in mm", *scenes.scenes]
    lines = [head, ["---", *["---:"] * len(scenes.scenes)]]
    for row in scenes.rows:
        cells = []
        for scene in scenes.scenes:
            cell = row.cells[scene]
            text = f"{number_text(cell.mean_mm)} {interval_text(*cell.ci95_mm)}"
            cells.append(f"**{text}**" if scenes.best(scene) is row else text)
        lines.append([row.label, *cells])
    best, base = scenes.rows[-1].label, scenes.rows[0].label
    pairs = [p for p in group.pairs if (p.first, p.second) == (best, base)]
    shown = [f"{p.difference.mean_mm:+.2f}, p {p_text(p.p_holm)}".replace("-", "−") for p in pairs]
    lines.append([f"*{best} − {base}, paired*", *shown])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    cells = [row.cells[scene] for row in scenes.rows for scene in scenes.scenes]
    found = [scenes.rows[0].cells[scene].coverage for scene in scenes.scenes]
    whole = min(completeness(cell) for cell in cells)
    basis = group.basis
    note = (
        f"`make demo`, protocol `{basis.protocol}` ({short_digest(basis.protocol_digest)}), "
        f"{len(basis.subjects)} synthetic people whom no network has seen. Brackets: 95 % interval "
        f"over people. Faces were found in {', '.join(map(share_text, found))} of the frames; "
        f"every prediction covers at least {share_text(whole)} of the scans."
    )
    return f"{table}\n\n{textwrap.fill(note, 110, break_on_hyphens=False)}\n"


def write(texts: Mapping[str, str]) -> Iterator[Path]:
    """Put each text where pages ask for it, and keep all; the files that changed."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        old = path.read_text("utf-8")
        new = BLOCK.sub(lambda found: placed(found, texts), old)
        if new != old:
            path.write_text(new, "utf-8")
            yield path
    KEPT.write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n", "utf-8")
    yield KEPT


def placed(found: re.Match[str], texts: Mapping[str, str]) -> str:
    """A page's block with its text."""
    name = found[1]
    return f"<!-- printed: {name} -->\n{texts[name]}<!-- end of it -->"


def main() -> None:
    """Read the command line and write the pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("demo", type=Path, help="folder of 'facebench demo'")
    parser.add_argument("--tutorial", action="store_true", help="run the tutorial's commands too")
    given = parser.parse_args()
    known = json.loads(KEPT.read_text("utf-8")) if KEPT.is_file() else {}
    texts = known | dict(blocks(given.demo, given.tutorial))
    for path in write(texts):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
