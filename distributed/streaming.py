"""How Ray Data streams here: small blocks, quietly, reading beside computing."""

from __future__ import annotations

import logging

import ray.data

from .cluster import total
from .giving_up import Needs

READER_CPUS = 0.5
"""Share of a processor that the scheduler counts for a task that reads, decodes and crops."""


def one_each() -> int:
    """As many actors as there are GPUs, or processors where there is none."""
    return max(1, int(total("GPU") or total("CPU")))


def actor_resources(workers: int) -> dict[str, float]:
    """The actors take no more than half of the processors, or the readers would starve.

    Where both stages ask for the same, Ray Data runs them in one process; they differ, and reading
    overlaps with describing, on a GPU and with more workers than processors.
    """
    cpus = min(READER_CPUS, total("CPU") / (2 * workers))
    gpus = total("GPU")
    return {"num_cpus": cpus} | ({"num_gpus": min(1.0, gpus / workers)} if gpus else {})


def stream_needs(workers: int) -> Needs:
    """What keeps a stream going: with less its actors leave nothing to the readers."""
    actor = actor_resources(workers)
    return Needs(workers * actor["num_cpus"] + READER_CPUS, actor.get("num_gpus", 0.0))


def stream_quietly(context: ray.data.DataContext) -> None:
    """Every row a block of its own, a lost one no end of the others, and nothing printed."""
    context.target_max_block_size = 1
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
