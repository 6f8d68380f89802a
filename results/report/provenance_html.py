"""Where the numbers come from: command, versions, digests, protocol, and the dataset's problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..run.folder import RunRecord
from .markup import Markup, join, tag
from .tables_html import row, table


def provenance(record: RunRecord) -> Markup:
    """The record of a run, most asked-for first."""
    return join(
        tag("pre", tag("code", record.command)),
        definitions(_facts(record)),
        fold("Protocol", definitions(flattened(record.protocol_settings))),
        fold("Options as resolved", definitions(flattened(record.arguments))),
        fold("Packages", definitions(record.versions)),
        fold("Machine", definitions(record.host)),
    )


def problems(record: RunRecord) -> Markup:
    """What the dataset could not use."""
    if not record.problems:
        return tag("p", "Everything in the dataset was recognised.")
    rows = (row([problem.where, problem.reason]) for problem in record.problems)
    head = ["Where", "Reason"]
    return table("Problems of the dataset", head, rows, len(record.problems))


def fold(title: str, content: Markup) -> Markup:
    """Content that opens on request."""
    return tag("details", tag("summary", title), content)


def definitions(values: Mapping[str, Any]) -> Markup:
    """Names with their values; empty ones are left out."""
    shown = ((name, value) for name, value in values.items() if value not in (None, "", (), []))
    pairs = (tag("div", tag("dt", name), tag("dd", _plain(value))) for name, value in shown)
    return tag("dl", *pairs)


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = flattened(value, f"{prefix}{name}.") if isinstance(value, Mapping) else None
        flat |= inner if inner is not None else {f"{prefix}{name}": value}
    return flat


def _facts(record: RunRecord) -> dict[str, Any]:
    card = record.card
    changed = " with local changes" if record.dirty else ""
    return {
        "Method": f"{card.name}: {card.title}",
        "Paper": card.paper,
        "Licence": card.licence,
        "Leakage": card.leakage,
        "Protocol": f"{record.protocol} {record.protocol_digest}",
        "Dataset": f"{record.dataset} {record.dataset_digest}",
        "Method digest": record.method_digest,
        "Model digest": record.model_digest,
        "Checkpoint digest": record.checkpoint_digest,
        "Commit": f"{record.commit}{changed}",
        "Seed": str(record.seed),
        "Unit of the scans": record.unit,
        "One scale factor for all": record.global_scale,
        "Left out on request": record.excluded,
        "Frames of each clip": f"at most {record.limit}" if record.limit else "all",
        "Started": record.started,
        "Ended": record.ended or "unfinished",
    }


def _plain(value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)
