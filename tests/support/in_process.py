"""The `facebench` command in this process, where a Python of its own would prove nothing more."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from facebench.cli import main


def facebench(*words: str, home: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """What a command says and answers, its error a line as in a terminal.

    Args:
        words: after `facebench`.
        home: the folder it runs in.
        path: a folder of packages, as `PYTHONPATH` would name it.
    """
    said, told = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.syspath_prepend(str(path))
        patch.setenv("PYTHONPATH", str(path), prepend=os.pathsep)  # for what it starts itself
        patch.setattr(sys, "argv", ["facebench", *words])
        with redirect_stdout(said), redirect_stderr(told):
            status = main._status()
    return subprocess.CompletedProcess(words, status, said.getvalue(), told.getvalue())
