"""Methods as people name them for a table or a figure: `NAME[=WEIGHTS][ as LABEL]`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import FacebenchError
from .interface import Method, MethodOptions
from .registry import build_method

FORM = "NAME[=WEIGHTS][ as LABEL]"

_LABEL = " as "


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
        what, said, label = text.partition(_LABEL)
        name, given, weights = (part.strip() for part in what.partition("="))
        if not name or (given and not weights) or (said and not label.strip()):
            raise FacebenchError(f"method '{text}' is not understood", f"write {FORM}")
        return cls(name, Path(weights) if weights else None, label.strip() or name)


def method_choices(texts: Iterable[str]) -> tuple[MethodChoice, ...]:
    """Several choices; what would share a label gets its weights' folder or file to tell it.

    Raises:
        FacebenchError: a choice is not understood, or the same label is given twice.
    """
    choices = [MethodChoice.parse(text) for text in texts]
    labels = [choice.label for choice in choices]
    told = [_told(one) if labels.count(one.label) > 1 else one for one in choices]
    repeated = next((one for one in told if _label_taken(one, told)), None)
    if repeated:
        raise FacebenchError(
            f"two methods are called '{repeated.label}'", "tell them apart with ' as LABEL'"
        )
    return tuple(told)


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


def _told(choice: MethodChoice) -> MethodChoice:
    if choice.checkpoint is None or choice.label != choice.name:
        return choice
    return replace(choice, label=f"{choice.name} ({choice.checkpoint.parent.name})")


def _label_taken(choice: MethodChoice, others: Sequence[MethodChoice]) -> bool:
    return sum(other.label == choice.label for other in others) > 1
