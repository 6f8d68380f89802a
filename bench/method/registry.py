"""Reconstruction methods by name: files of `bench/methods` and entry points of other packages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...errors import FacebenchError
from ...recon.files.mirror import fetch
from ..plugins import Plugins
from .interface import AnyMethod, HoldsMeshes, Method, MethodCard, MethodModule, MethodOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...recon.mesh import Mesh

GROUP = "facebench.methods"
# By its name, as the modules of other packages: a method imports this folder, never the reverse.
_BUILT_IN_PACKAGE = f"{__package__.removesuffix('.method')}.methods"
PLUGINS = Plugins("method", _BUILT_IN_PACKAGE, GROUP, ("CARD", "build"))
"""Other packages add a method by an entry point `name = "package.module"`, a `MethodModule`."""

FORM = "NAME[=WEIGHTS][ as LABEL]"

_LABEL = " as "


def method_names() -> tuple[str, ...]:
    """All methods, sorted; imports none of them."""
    return PLUGINS.names()


def method_origin(name: str) -> str:
    """`built in`, or name and version of the package that brought a method.

    Raises:
        FacebenchError: there is no such method.
    """
    return PLUGINS.origin(name)


def method_card(name: str) -> MethodCard:
    """What is known of a method without building it.

    Raises:
        FacebenchError: there is no such method, or its module cannot be used.
    """
    return _module(name).CARD


def open_method(name: str, options: MethodOptions) -> AnyMethod:
    """A method of either kind, ready to use.

    Args:
        name: a method's name, or `NAME:SOURCE` for one that comes as files.
        options: what it is built from; SOURCE goes into them.

    Raises:
        FacebenchError: there is no such method, or it cannot be built from these options.
    """
    base, colon, source = name.partition(":")
    module = _module(base)
    # Here, because workers build methods too: their machine may not have the files yet.
    for path in (options.checkpoint, Path(options.model)):
        if path is not None:
            fetch(path, whole=True)
    # Else `ours:weights.pt` would run with the embedded weights, and nobody would notice.
    if colon and module.CARD.kind != "files":
        raise FacebenchError(f"method '{base}' takes nothing behind a colon", f"write '{base}'")
    # A neutral face under a protocol of expressions would be measured, and be wrong, in silence.
    if options.expression not in module.CARD.expressions:
        raise FacebenchError(
            f"method '{base}' gives no faces with {options.expression} expression",
            f"choose reduction.expression among: {', '.join(module.CARD.expressions)}",
        )
    return module.build(replace(options, source=source or options.source))


def build_method(name: str, options: MethodOptions) -> Method:
    """A method that describes crops.

    Raises:
        FacebenchError: there is no such method, it cannot be built from these options, or it comes
            as files.
    """
    method = open_method(name, options)
    if isinstance(method, HoldsMeshes):
        raise FacebenchError(f"method '{name}' comes as files", "it reads no photographs")
    return method


def _module(name: str) -> MethodModule:
    return cast("MethodModule", PLUGINS.module(name))


# A method is seconds to build and is asked once a frame: each process keeps its last one.
_last_built = lru_cache(maxsize=1)(build_method)


def decode(name: str, options: MethodOptions, vector: NDArray[np.floating]) -> Mesh:
    """A method's face of a frame's vector (D,), mm; every process builds its own method."""
    return _last_built(name, options).mesh(vector)


@dataclass(frozen=True)
class MethodChoice:
    """One method of several.

    Attributes:
        name: in the registry.
        checkpoint: its weights, or None for those that come with it.
        label: what the table or the figure calls it.
    """

    name: str
    checkpoint: Path | None
    label: str

    @classmethod
    def parse(cls, text: str) -> MethodChoice:
        """The choice of `NAME`, `NAME=WEIGHTS` or either with ` as LABEL` behind it.

        >>> MethodChoice.parse("ours=a/weights.pt as with a second view").label
        'with a second view'

        Raises:
            FacebenchError: a part is empty.
        """
        what, named, label = text.partition(_LABEL)
        name, given, weights = (part.strip() for part in what.partition("="))
        if not name or (given and not weights) or (named and not label.strip()):
            raise FacebenchError(f"method '{text}' is not understood", f"write {FORM}")
        return cls(name, Path(weights) if weights else None, label.strip() or name)


def method_choices(texts: Iterable[str]) -> tuple[MethodChoice, ...]:
    """Several choices; those that would share a label get their weights' folder or file as well.

    Raises:
        FacebenchError: a choice is not understood, or the same label is given twice.
    """
    choices = [MethodChoice.parse(text) for text in texts]
    labels = [choice.label for choice in choices]
    unlike = [_with_folder(one) if labels.count(one.label) > 1 else one for one in choices]
    labels = [one.label for one in unlike]
    if repeated := [label for label in labels if labels.count(label) > 1]:
        raise FacebenchError(
            f"two methods are called '{repeated[0]}'", "tell them apart with ' as LABEL'"
        )
    return tuple(unlike)


def build_choices(
    choices: Sequence[MethodChoice], model: str, device: str = "cpu"
) -> dict[str, Method]:
    """The methods ready to use, by label.

    Raises:
        FacebenchError: one is unknown, reads no photographs, or cannot be built.
    """
    return {
        choice.label: build_method(
            choice.name, MethodOptions(choice.checkpoint, model, device=device)
        )
        for choice in choices
    }


def _with_folder(choice: MethodChoice) -> MethodChoice:
    """The choice labelled by the folder of its weights, unless it has a label of its own."""
    if choice.checkpoint is None or choice.label != choice.name:
        return choice
    return replace(choice, label=f"{choice.name} ({choice.checkpoint.parent.name})")
