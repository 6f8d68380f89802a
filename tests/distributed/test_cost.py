"""What a run is foretold to cost: by arithmetic from a sample, and a sample of the real job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_micc import moving_face, write_subject, write_video

from facebench.cli.run import _forecast_table
from facebench.distributed.benchmark import Benchmark
from facebench.distributed.cost import (
    ENCODE,
    FIND,
    KEEP,
    MEASURE,
    READ,
    STAGES,
    START_SECONDS,
    Sample,
    _van_der_corput,
    forecast,
    measure_sample,
)
from facebench.distributed.plan import RunRequest, prepare
from facebench.errors import FacebenchError
from facebench.recon.morphable.load import load_model
from facebench.recon.video.decode import estimate_frames

FRAMES = 6


@pytest.fixture(scope="module")
def benchmark_(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    root = tmp_path_factory.mktemp("micc")
    for subject in (1, 2):
        write_subject(root, subject, load_model("embedded"), ("cooperative",), FRAMES)
    request = RunRequest(root, "mean-face", scenes=("cooperative",), detector="embedded")
    return prepare(request)


@pytest.fixture
def sample() -> Sample:
    """10 frames, one chunk, one item; a frame costs 0.1 s, an item 2 s."""
    seconds = {READ: 0.1, FIND: 0.5, ENCODE: 0.3, KEEP: 0.1, MEASURE: 2.0}
    sizes = {"row_bytes": 10.0, "item_bytes": 100.0, "memory_bytes": 1e9}
    return Sample(seconds, 10, 10, 1, [0.1, 0.1, 0.1], [2.0, 2.0, 2.0], **sizes)


def test_the_whole_is_the_sample_times_its_size(benchmark_: Benchmark, sample: Sample) -> None:
    told = forecast(benchmark_, sample, cores=1, gpus=0)
    assert (told["frames"], told["chunks"], told["items"]) == (2 * FRAMES, 2, 2)
    assert told["core_seconds"] == pytest.approx(12 * 0.1 + 2 * 2.0)
    # The rows are kept by the driver beside the workers.
    assert told["seconds"] == pytest.approx(START_SECONDS + 12 * 0.09 + 2 * 2.0)
    # Without it two cores would seem to take longer than one.
    assert ("  start", f"{START_SECONDS:.1f} s") in _forecast_table(told)
    assert told["disk_bytes"] == 2 * 10 + 2 * 100
    assert told["error"] == pytest.approx(0.0, abs=1e-9)
    assert told["bottleneck"] == MEASURE


def test_what_comes_first_to_its_end(benchmark_: Benchmark, sample: Sample) -> None:
    seconds = {**sample.seconds, MEASURE: 0.0}
    quick = replace(sample, seconds=seconds, by_item=[1e-6] * 3)
    assert forecast(benchmark_, quick, 1, 0)["bottleneck"] == FIND
    # A clip is read by one task: a thousand cores wait for the longest.
    many = forecast(benchmark_, quick, 1000, 0)
    assert many["bottleneck"] == "longest clip"
    assert many["seconds"] == pytest.approx(START_SECONDS + FRAMES * 0.06, abs=1e-4)
    on_gpu = forecast(benchmark_, quick, 1, 1)
    assert on_gpu["seconds"] == pytest.approx(START_SECONDS + 12 * 0.06, abs=1e-4)


def test_a_sample_is_of_the_real_job(benchmark_: Benchmark) -> None:
    found = measure_sample(benchmark_, 0.01)
    assert found.frames == FRAMES and 0 < found.faces <= FRAMES
    assert all(found.seconds[stage] > 0 for stage in STAGES)
    assert len(found.by_item) == 1 and found.row_bytes > 100 and found.item_bytes > 1000
    told = forecast(benchmark_, found, 2, 0)
    # Of one clip nothing is known of the scatter.
    assert told["error"] is None and told["seconds"] > START_SECONDS


@pytest.mark.parametrize("length", [0, 1, 2, 5, 8, 13])
def test_samples_are_from_all_over_the_set(length: int) -> None:
    order = list(_van_der_corput(range(length)))
    assert sorted(order) == list(range(length))
    if length > 4:
        assert max(order[:4]) - min(order[:4]) >= length // 2


def test_a_stream_without_a_header_is_counted_by_its_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mjpg", moving_face(50))
    assert estimate_frames(path) == pytest.approx(50, rel=0.1)


def test_what_cannot_be_measured_is_told(benchmark_: Benchmark) -> None:
    """Else the scoring of a whole set would be foretold to cost nothing."""
    with pytest.raises(FacebenchError, match="no frame of any clip"):
        measure_sample(replace(benchmark_, dataset=replace(benchmark_.dataset, items=())), 0.01)
    with pytest.raises(FacebenchError, match=r"no item could be measured: .*unit"):
        measure_sample(replace(benchmark_, unit="m", job=None), 0.01)
