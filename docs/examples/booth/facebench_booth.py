"""`booth`: scans of a photo booth, `PERSON_EXPRESSION.ply` each, with landmarks beside them."""

from __future__ import annotations

from pathlib import Path

from facebench.bench.dataset.interface import DatasetCard, Item, Listing, Problem, Scan
from facebench.errors import FacebenchError

CARD = DatasetCard(
    name="booth",
    title="Scans of a photo booth, two expressions of each person",
    paper="",
    licence="CC0",
    layout="PERSON_EXPRESSION.ply, its landmarks in PERSON_EXPRESSION.txt",
    scenes=("neutral", "smile"),
)


def read(root: Path) -> Listing:
    """An item per scan; a file of another name is a problem, never left out in silence."""
    items, problems = [], []
    for path in sorted(root.glob("*.ply")):
        person, _, expression = path.stem.partition("_")
        if expression in CARD.scenes:
            landmarks = path.with_suffix(".txt")
            scan = Scan(person, expression, path, None, landmarks if landmarks.is_file() else None)
            item_id = f"{person}/{expression}"
            items.append(Item(item_id, person, expression, scans=(scan,), names=(path.stem,)))
        else:
            problems.append(Problem(path.name, f"not {' or '.join(CARD.scenes)}"))
    if not items:
        raise FacebenchError(f"{root}: no scan of the booth", CARD.layout)
    return Listing(tuple(items), tuple(problems))
