"""`facebench audit`: how far the numbers of a protocol are from the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._options import PROTOCOLS

if TYPE_CHECKING:
    import pandas as pd

    from ..results.audit import Audit, Worth


@click.command("audit")
@click.option("--data", type=click.Path(path_type=Path), help="A set of 'facebench synth micc'.")
@click.option("--model", default="embedded", show_default=True, help="The face model of that set.")
@click.option(
    "--protocols",
    default=",".join(PROTOCOLS),
    show_default=True,
    help="Presets or TOML files.",
)
@click.option("--run", type=click.Path(path_type=Path), help="A run: what is each choice worth?")
@click.option("--subjects", type=click.IntRange(2), help="At most this many.  [default: all]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the page.")
@click.option("--cluster", is_flag=True, help="Use a running Ray cluster.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print both tables as JSON.")
def command(out: Path | None, cluster: bool, as_json: bool, **options: Any) -> None:
    """Audit the protocols on data whose true error is known, or a run's own protocol.

    With --data, made-up methods of known quality predict everybody in a synthetic set. Each
    protocol's number stands beside the true error, which is the distance between corresponding
    points: the bias, the correlations, and whether the order of the methods is kept.

    With --run, the faces of a finished run are measured again with one choice changed at a time:
    what the choices that papers leave unwritten are worth.

    OUT gets audit.html, one page with what was asked for, and audit.json; with --data also every
    prediction as audit.csv and the figure as audit.png.

    \b
    Examples:
      facebench synth micc --out people --subjects 12 --frames 2 --scenes cooperative
      facebench audit --data people --out audit
      facebench audit --data people --protocols micc,correspondence --json
      facebench audit --run runs/ours --out audit
    """
    from ..results.audit import write_audit

    if options["data"] is None and options["run"] is None:
        raise click.UsageError("give --data, --run or both")
    audit = _audit(cluster, as_json, **options)
    page = write_audit(audit, out) if out else None
    _show(audit, page, as_json)


def _audit(
    cluster: bool,
    quiet: bool,
    data: Path | None,
    model: str,
    protocols: str,
    run: Path | None,
    subjects: int | None,
    seed: int,
) -> Audit:
    import pandas as pd

    from ..distributed.cluster import connected
    from ..results.audit import Audit

    with connected(cluster):
        rows = (
            pd.DataFrame()
            if data is None
            else _against_the_truth(data, model, protocols, subjects, seed, quiet)
        )
        worths = [] if run is None else _choices(run, subjects, seed, quiet)
    named = (f"set {data} of the model {model}" if data else "", f"run {run}" if run else "")
    return Audit.of(", ".join(filter(None, named)), rows, worths, seed)


def _against_the_truth(
    data: Path, model: str, protocols: str, subjects: int | None, seed: int, quiet: bool
) -> pd.DataFrame:
    import pandas as pd

    from ..bench.audit.grades import GRADES
    from ..bench.audit.subject import AuditPlan
    from ..bench.audit.truth import read_truth
    from ..bench.protocol.record import read_settings
    from ..distributed.audit import audited, people_of
    from ..recon.morphable.load import load_model
    from ._progress import counted

    loaded = load_model(model)
    names = [name.strip() for name in protocols.split(",") if name.strip()]
    chosen = tuple(read_settings(name, ()) for name in names)
    people = people_of(data, read_truth(data, loaded))[:subjects]
    plan = AuditPlan(loaded, GRADES, chosen, seed)
    rows = pd.concat(counted(audited(people, plan), "people", len(people), quiet))
    return _ordered(rows, [item.name for item in chosen], [grade.name for grade in GRADES])


def _ordered(rows: pd.DataFrame, protocols: list[str], methods: list[str]) -> pd.DataFrame:
    """The rows as the tables show them, whatever order they came in."""
    import pandas as pd

    ordered = rows.assign(
        protocol=pd.Categorical(rows["protocol"], protocols, ordered=True),
        method=pd.Categorical(rows["method"], methods, ordered=True),
    ).sort_values(["protocol", "method", "subject"], ignore_index=True)
    return ordered.astype({"protocol": str, "method": str})


def _choices(run: Path, subjects: int | None, seed: int, quiet: bool) -> list[Worth]:
    import pandas as pd

    from ..bench.audit.sensitivity import CHOICES
    from ..bench.protocol.record import Protocol
    from ..distributed.audit import faces_of, tried
    from ..results.audit import worths
    from ..results.run.folder import RunFolder
    from ._progress import counted

    folder = RunFolder.existing(run)
    protocol = Protocol.from_dict(folder.record().protocol_settings)
    faces = faces_of(folder, subjects)
    values = pd.concat(counted(tried(faces, protocol, CHOICES), "faces", len(faces), quiet))
    return worths(values.sort_index(), seed)


def _show(audit: Audit, page: Path | None, as_json: bool) -> None:
    if as_json:
        import json

        from ..results.files import finite

        click.echo(json.dumps(finite(audit.to_dict())))
        return
    from ..results.audit import agreement_table, worth_table
    from ..results.tables.writers import terminal_text

    tables = [agreement_table(audit.agreements)] if audit.agreements else []
    tables += [worth_table(audit.worths)] if audit.worths else []
    click.echo(terminal_text(tables), nl=False)
    if page is not None:
        click.echo(page)
