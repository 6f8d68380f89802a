"""Parquet files of which one column can no longer be read."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq


def damage(path: Path, column: str, changed: int) -> None:
    """Change one bit of each of the last bytes of a column; all other columns stay as they are."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    found = [group.column(number) for number in range(group.num_columns)]
    (place,) = (one for one in found if one.path_in_schema.split(".")[0] == column)
    end = (place.dictionary_page_offset or place.data_page_offset) + place.total_compressed_size
    content = bytearray(path.read_bytes())
    content[end - changed : end] = bytes(byte ^ 1 for byte in content[end - changed : end])
    path.write_bytes(content)
