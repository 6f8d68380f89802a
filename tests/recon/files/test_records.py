"""Records bound from plain values: what is read, and what each mistake is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from facebench.errors import FacebenchError
from facebench.recon.files.records import Amount, Count, Positive, Share, bind
from facebench.recon.files.text import parse_json, read_json


@dataclass(frozen=True)
class Layer:
    width: Count = 4
    scale: Positive = 1.0
    keep: Share = 0.5
    side: Annotated[int, Field(gt=0, multiple_of=16)] = 32


@dataclass(frozen=True)
class Network:
    name: str
    kind: Literal["plain", "residual"] = "plain"
    first: Layer = field(default_factory=Layer)
    more: tuple[Layer, ...] = ()
    weights: Mapping[str, Amount] = field(default_factory=dict)
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    start: Path | None = None
    deep: bool = False

    def __post_init__(self) -> None:
        if self.deep and self.kind == "plain":
            raise FacebenchError("a deep network is residual", "set kind=residual")


class Rule(BaseModel):
    name: str
    at_most: float = Field(1.0, gt=0)


def test_nested_values_become_records() -> None:
    found = bind(
        Network,
        {
            "name": "n",
            "first": {"scale": 2},
            "more": [{"width": 5}, {}],
            "weights": {"nose": 2},
            "start": "a.pt",
        },
        "network",
    )
    assert found.first == Layer(scale=2.0)
    assert type(found.first.scale) is float
    assert found.more == (Layer(width=5), Layer())
    assert found.weights == {"nose": 2.0}
    assert found.start == Path("a.pt")


@given(
    st.builds(
        Layer,
        width=st.integers(1, 2**40),
        scale=st.floats(1e-300, 1e300),
        keep=st.floats(0, 1),
        side=st.integers(1, 99).map(lambda n: 16 * n),
    )
)
def test_a_record_survives_its_own_table_to_the_last_digit(layer: Layer) -> None:
    assert bind(Layer, asdict(layer), "layer") == layer


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"fist": {}}, "network: unknown key 'fist': did you mean 'first'"),
        ({"first": {"widht": 3}}, "unknown key 'first.widht': did you mean 'width'"),
        ({"more": [{}, {"wide": 3}]}, "unknown key 'more.1.wide'"),
        ({"kind": "residul"}, "kind is 'residul': did you mean 'residual'"),
        ({"first": {"width": 0}}, "first.width is 0: give more than 0"),
        ({"first": {"width": 1.0}}, "first.width is 1.0: expected a value of type int"),
        ({"first": {"width": True}}, "expected a value of type int"),
        ({"first": {"scale": "2"}}, "first.scale is '2': expected a value of type float"),
        (
            {"first": {"scale": float("inf")}},
            "first.scale is inf: give a finite number, more than 0",
        ),
        (
            {"first": {"scale": float("nan")}},
            "first.scale is nan: give a finite number, more than 0",
        ),
        ({"first": {"keep": 1.5}}, "first.keep is 1.5: give 0 to 1"),
        ({"first": {"side": 40}}, "first.side is 40: give a multiple of 16 and more than 0"),
        ({"first": 3}, "first is 3: expected a value of type table"),
        ({"decay": 1.0}, "decay is 1.0: give 0 or more and below 1"),
        ({"weights": {"nose": -1}}, "weights.nose is -1: give 0 or more"),
        ({"deep": True}, "a deep network is residual: set kind=residual"),
        ({"deep": 1}, "deep is 1: expected a value of type bool"),
        ({"name": date(2026, 1, 1)}, "give text, numbers and tables"),
    ],
)
def test_a_mistake_is_one_line_with_what_the_field_allows(
    table: dict[str, Any], message: str
) -> None:
    with pytest.raises(FacebenchError) as error:
        bind(Network, {"name": "n"} | table, "network")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(FacebenchError, match="network: 'name' is missing"):
        bind(Network, {}, "network")


def test_pydantic_models_are_bound_alike() -> None:
    assert bind(Rule, {"name": "a", "at_most": 2}, "rule").at_most == 2.0
    with pytest.raises(FacebenchError, match=r"at_most is 0: give more than 0"):
        bind(Rule, {"name": "a", "at_most": 0}, "rule")
    with pytest.raises(FacebenchError, match="did you mean 'at_most'"):
        bind(Rule, {"name": "a", "at_mots": 1}, "rule")


def test_a_key_given_twice_and_a_page_in_place_of_a_file_are_refused(tmp_path: Path) -> None:
    for content, words in (
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is given twice"),
        (b"<html>", "a web page, not the file"),
        (b"[1, \xe9]", "no UTF-8 text .byte 0xe9 in line 1"),
    ):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(ValueError, match=words):
            read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "given twice"),
        ("[1, 2", "delimiter"),
        ('{"a": ' + "9" * 10_000 + "}", "a number of more than"),
    ],
)
def test_no_error_of_json_is_its_own_cause(text: str, words: str) -> None:
    """Whoever follows the causes to their end, as log handlers do, must come to it."""
    with pytest.raises(ValueError, match=words) as told:
        parse_json(text)
    causes: list[BaseException] = []
    error: BaseException | None = told.value
    while error is not None:
        assert error not in causes
        causes.append(error)
        error = error.__cause__ or error.__context__
