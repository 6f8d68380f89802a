"""`facebench audit`: how far the numbers of a protocol are from the truth."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..errors import FacebenchError
from ._options import PROTOCOLS
from ._tables import print_json

if TYPE_CHECKING:
    import pandas as pd

    from ..bench.audit.people import AuditedPerson
    from ..recon.morphable.model import MorphableModel
    from ..results.audit.agreement import Sensitivity
    from ..results.audit.folder import Audit


@click.command("audit")
@click.option(
    "--people",
    type=click.IntRange(2),
    help="Make so many people of each --model and audit on them.",
)
@click.option("--data", type=click.Path(path_type=Path), help="A set of 'facebench synth micc'.")
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("embedded",),
    help="The face model of the people; with --people several are audited together.",
)
@click.option("--protocols", default=",".join(PROTOCOLS), help="Presets or TOML files.")
@click.option(
    "--run", type=click.Path(path_type=Path), help="Audit this run: what each choice changes."
)
@click.option("--subjects", type=click.IntRange(2), help="At most this many.  [default: all]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the page.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one per processor]")
@click.option("--cluster", is_flag=True, help="Use a running Ray cluster instead.")
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--json", "as_json", is_flag=True, help="Print both tables as JSON.")
def command(out: Path | None, as_json: bool, **options: Any) -> None:
    """Audit the protocols on people whose true error is known, or a run's own protocol.

    With --people or --data, reference predictors of known error predict everybody. Each protocol's
    number stands beside the true error, which is the distance between corresponding points over the
    skin that the scan shows: the bias, the correlations, whether the order of the predictors is
    kept, and how many people it takes to tell two methods apart. Some predictors hand in the same
    face in other triangles, some the truth with a known displacement.

    With --run, the faces of a finished run are measured again with one choice changed at a time:
    what the choices that papers leave unwritten change.

    OUT gets audit.html, one page with what was asked for, and audit.json; with people also every
    prediction as audit.csv and the figure as audit.png. Who was measured is kept in OUT/people, so
    that the same command goes on where an interrupted one stopped.

    \b
    Examples:
      facebench audit --people 12 --protocols micc,correspondence --out audit
      facebench audit --people 12 --model ict.npz --model embedded --out audit
      facebench audit --data people --json
      facebench audit --run runs/ours --out audit
    """
    if not (options["people"] or options["data"] or options["run"]):
        raise click.UsageError("give --people, --data or --run")
    if options["people"] and options["data"]:
        raise click.UsageError("give --people, which makes people, or --data, which has them")
    if options["data"] and len(options["models"]) > 1:
        raise click.UsageError("a set is of one face model: give --data one --model")
    from ..recon.files.writing import lock_folder
    from ..results.audit.folder import write_audit

    # Before the people are measured: a place that cannot be used must not cost an hour.
    with lock_folder(out, "audit", ("audit.json",)) if out else nullcontext():
        work = _Work.of(options, quiet=as_json)
        audit = _audit(options, work, out / "people" if out else None)
        page = write_audit(audit, out) if out else None
    _show(audit, page, as_json)


class _Work(NamedTuple):
    """How the work is done, and whether a bar counts it."""

    workers: int
    cluster: bool
    quiet: bool

    @classmethod
    def of(cls, options: dict[str, Any], quiet: bool) -> _Work:
        """Jobs that start no processes of their own and share nothing: one per processor."""
        import os

        workers = options["workers"] or len(os.sched_getaffinity(0))
        return cls(workers, options["cluster"], quiet)


def _audit(options: dict[str, Any], work: _Work, kept: Path | None) -> Audit:
    import pandas as pd

    from ..results.audit.folder import Audit

    people, data, models = options["people"], options["data"], options["models"]
    run, seed = options["run"], options["seed"]
    with _connect_cluster() if work.cluster else nullcontext():
        rows, sensitivities = pd.DataFrame(), []
        if people or data:
            rows = _against_the_truth(options, work, kept)
        if run:
            sensitivities = _choices(run, options["subjects"], seed, work)
    source = (
        f"{people} made people of each model: {', '.join(models)}" if people else "",
        f"set {data} of the model {models[0]}" if data else "",
        f"run {run}" if run else "",
    )
    return Audit(", ".join(filter(None, source)), rows, sensitivities, seed)


def _connect_cluster() -> AbstractContextManager[object]:
    from ..distributed.cluster import ray_connection

    return ray_connection(True)


def _against_the_truth(options: dict[str, Any], work: _Work, kept: Path | None) -> pd.DataFrame:
    import pandas as pd

    from ..bench.audit.measure import AuditPlan
    from ..bench.audit.predictors import PREDICTORS
    from ..bench.protocol.record import read_settings
    from ..distributed.audit import audit_people
    from ..recon.morphable.load import load_model
    from ._progress import count_on_bar

    names = [name.strip() for name in options["protocols"].split(",") if name.strip()]
    chosen = tuple(read_settings(name, ()) for name in names)
    parts: list[pd.DataFrame] = []
    for source in options["models"]:
        model = load_model(source)
        audience = _people(options, model)
        plan = AuditPlan(model, PREDICTORS, chosen, options["seed"])
        rows = audit_people(audience, plan, work.workers, work.cluster, kept)
        parts.extend(count_on_bar(rows, f"people of {model.name}", len(audience), work.quiet))
    order = [predictor.name for predictor in PREDICTORS]
    # People come as their workers end: the tables and audit.csv must not show that order.
    return _sort_rows(pd.concat(parts), [item.name for item in chosen], order)


def _people(options: dict[str, Any], model: MorphableModel) -> list[AuditedPerson]:
    """Whom to audit on: made now, or those of a set."""
    people, data, subjects = options["people"] or 0, options["data"], options["subjects"]
    if data is None:
        from ..bench.audit.people import PeopleMaker

        maker = PeopleMaker(model, options["seed"])
        # By number: the first people are the same however many are made.
        return [maker.person(number) for number in range(1, people + 1)][:subjects]
    from itertools import islice

    from ..bench.audit.people import read_people

    found = list(islice(read_people(data, model), subjects))
    if not found:
        raise FacebenchError(f"{data} has a scan of nobody whose truth is known")
    return found


def _sort_rows(rows: pd.DataFrame, protocols: list[str], methods: list[str]) -> pd.DataFrame:
    """The rows as the tables show them, whatever order they came in."""
    import pandas as pd

    ordered = rows.assign(
        # Categories sort by their place in the list: the order that was asked for, no alphabet.
        protocol=pd.Categorical(rows["protocol"], protocols, ordered=True),
        method=pd.Categorical(rows["method"], methods, ordered=True),
    ).sort_values(["protocol", "method", "model", "subject"], ignore_index=True)
    return ordered.astype({"protocol": str, "method": str})


def _choices(run: Path, subjects: int | None, seed: int, work: _Work) -> list[Sensitivity]:
    import pandas as pd

    from ..bench.audit.measure import CHOICES
    from ..bench.protocol.record import Protocol
    from ..distributed.audit import faces_of, measure_faces
    from ..results.audit.agreement import sensitivities
    from ..results.run.folder import RunFolder
    from ._progress import count_on_bar

    folder = RunFolder.existing(run)
    protocol = Protocol.from_dict(folder.record().protocol_settings)
    faces = faces_of(folder, subjects)
    rows = measure_faces(faces, protocol, CHOICES, work.workers, work.cluster)
    values = pd.concat(count_on_bar(rows, "faces", len(faces), work.quiet))
    # Single faces that fail are left out of their choice; with none there is no answer.
    if not values.notna().to_numpy().any():
        raise FacebenchError(
            f"{run}: no face of it can be measured again by {protocol.name}",
            "landmarks of predictions in files of their own are not kept in a run",
        )
    # Sorted, for workers end in any order and the bootstrap draws by place.
    return sensitivities(values.sort_index(), seed)


def _show(audit: Audit, page: Path | None, as_json: bool) -> None:
    if as_json:
        print_json(audit.to_dict())
        return
    from ..results.audit.folder import agreement_table, predictor_table, sensitivity_table
    from ..results.tables.writers import terminal_text

    tables = []
    if audit.agreements:
        tables += [agreement_table(audit.agreements), predictor_table(audit.rows)]
    if audit.sensitivities:
        tables.append(sensitivity_table(audit.sensitivities))
    click.echo(terminal_text(tables), nl=False)
    if page is not None:
        click.echo(page)
