"""How large the product is: files, lines, record types and comments.

    python tests/benchmarks/size.py

The figures of docs/architecture.md; only files that git knows count, and no test.
"""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("bench", "recon", "results", "distributed", "cli")


def product_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *PRODUCT], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name.endswith(".py")]


def record_types(text: str) -> int:
    """Classes that a decorator makes a dataclass."""
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    return sum(any("dataclass" in ast.unparse(d) for d in c.decorator_list) for c in classes)


def main() -> None:
    """Print them, a line each."""
    texts = [path.read_text("utf-8") for path in product_files()]
    tokens = [
        token.type
        for text in texts
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    ]
    # A NEWLINE token ends a logical line, however many lines of text that takes.
    comments = 100 * tokens.count(tokenize.COMMENT) / tokens.count(tokenize.NEWLINE)
    print(f"files {len(texts):,}")
    print(f"lines {sum(text.count(chr(10)) for text in texts):,}")
    print(f"record types {sum(map(record_types, texts)):,}")
    print(f"comments in 100 logical lines {comments:.1f}")


if __name__ == "__main__":
    main()
