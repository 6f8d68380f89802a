"""`check_method`: a method by name, taken through everything that the benchmark asks of it."""

from __future__ import annotations

from functools import partial

from ...errors import FacebenchError
from ..method.interface import HoldsMeshes, MethodOptions
from ..method.registry import build_method, method_card, method_origin, open_method
from .card import check_card, check_digests
from .files import check_file_method
from .finding import Finding, attempt, broke_off, passed
from .frames import check_expressions, check_frame_method, describe_elsewhere


def check_method(name: str, options: MethodOptions) -> list[Finding]:
    """Every finding on a method, in the order in which they were found.

    Args:
        name: a method's name, or `NAME:SOURCE` for one that comes as files.
        options: what it is built from.

    Raises:
        FacebenchError: there is no such method, or what it is to be built from cannot be used.
    """
    base = name.partition(":")[0]
    card = attempt("card", partial(check_card, base, method_card(base)))
    try:
        method = open_method(name, options)
    except FacebenchError:
        raise
    except Exception as error:  # a method raises whatever it likes
        return [*card, broke_off("loads", error)]
    loaded = passed("loads", f"{method_origin(base)}, reads {method.card.kind}")
    if isinstance(method, HoldsMeshes):
        again = open_method(name, options)
        digests = attempt("digest", partial(check_digests, method, again))
        return [*card, loaded, *digests, *check_file_method(method)]
    build = partial(build_method, name, options)
    elsewhere = partial(describe_elsewhere, name, options)
    found = check_frame_method(method, build, elsewhere)
    return [*card, loaded, *found, *check_expressions(options, name)]
