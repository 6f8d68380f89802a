"""The MICC layout as tests read it."""

from functools import partial

from facebench.bench.dataset.registry import open_dataset

micc_dataset = partial(open_dataset, "micc")
