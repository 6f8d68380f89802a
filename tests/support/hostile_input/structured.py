"""Damage that keeps a file's own form: values of JSON, members of a zip, columns of a table."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facebench.tests.support.hostile_input.mutations import DAMAGES

_ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    1e308,
    float("nan"),
    "",
    "../../../escaped",
    "</script><script>alert(1)</script>",
    "[/bold]",
    "\x1b[2J\n",
    "a" * 10_000,
    [],
    {},
    [[[]]],
    {"a": None},
)


def json_values(content: bytes, chance: random.Random) -> bytes:
    """A value somewhere is another, or its key is gone."""
    value = _changed(json.loads(content), chance)
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _changed(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.2:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: _changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], _changed(value[place], chance), *value[place + 1 :]]
    return chance.choice(_ODD)


def zip_members(content: bytes, chance: random.Random) -> bytes:
    """A member's bytes are damaged and its check sum is right again."""
    damage = DAMAGES[chance.choice(("truncated", "bits flipped", "huge header", "empty"))]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice([name for name in members if members[name]])
    members[name] = damage(members[name], chance)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, inside in members.items():
            archive.writestr(member, inside)
    return buffer.getvalue()


def table_columns(content: bytes, chance: random.Random) -> bytes:
    """A column is gone, empty, of another type, or full of something else."""
    table = pq.read_table(io.BytesIO(content))
    name = chance.choice(table.column_names)
    place = table.column_names.index(name)
    kind = chance.choice(("gone", "null", "text", "number", "bytes", "lists", "no rows"))
    if kind == "gone":
        changed = table.drop_columns([name])
    elif kind == "no rows":
        changed = table.slice(0, 0)
    else:
        changed = table.set_column(place, name, _odd_column(kind, len(table), chance))
    buffer = io.BytesIO()
    pq.write_table(changed, buffer)
    return buffer.getvalue()


_LISTS = pa.list_(pa.float64())


def _odd_column(kind: str, rows: int, chance: random.Random) -> pa.Array:
    made: dict[str, Callable[[], pa.Array]] = {
        "null": lambda: pa.nulls(rows, pa.float64()),
        "text": lambda: pa.array([chance.choice(("../../x", "[/b]", "<b>", ""))] * rows),
        "number": lambda: pa.array([chance.choice((-1, 2**62))] * rows),
        "bytes": lambda: pa.array([chance.randbytes(40)] * rows),
        "lists": lambda: pa.array(
            [[float("nan")] * chance.randrange(5)] * rows, pa.list_(pa.float64())
        ),
    }
    return made[kind]()


def tensor_values(content: bytes, chance: random.Random) -> bytes:
    """A value of a checkpoint is another, or one in the recipe that it keeps as JSON."""
    import torch

    table = torch.load(io.BytesIO(content), weights_only=True)
    if "recipe" in table and chance.random() < 0.6:
        table["recipe"] = json_values(table["recipe"].encode(), chance).decode("utf-8", "replace")
    else:
        key = chance.choice(list(table))
        table[key] = _odd_tensors(table[key], chance)
    buffer = io.BytesIO()
    torch.save(table, buffer)
    return buffer.getvalue()


def _odd_tensors(value: Any, chance: random.Random) -> Any:
    import torch

    if not isinstance(value, dict) or chance.random() < 0.2:
        return chance.choice(_ODD)
    key = chance.choice(list(value))
    odd = (
        torch.zeros(1).expand(2**20, 2**20),
        torch.zeros(0),
        torch.full((3, 3), float("nan")),
        torch.zeros(2, dtype=torch.int64),
        torch.zeros(3).to_sparse(),
        "no tensor",
    )
    return {**value, key: chance.choice(odd)}
