"""The protocol that was asked for: a preset or a file, with some settings changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import FacebenchError
from .record import Protocol, preset, read_protocol


def read_settings(name: str, settings: Sequence[str] = ()) -> Protocol:
    """A preset or a TOML file with some settings changed.

    Args:
        name: of a preset, or the path of a `.toml` file.
        settings: `KEY=VALUE` each, as given to `--set`.

    Raises:
        FacebenchError: an unknown preset, setting or value.
    """
    protocol = read_protocol(Path(name)) if name.endswith(".toml") else preset(name)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise FacebenchError(f"protocol setting '{setting}'", "expected KEY=VALUE")
        protocol = protocol.with_setting(key.strip(), value.strip())
    return protocol
