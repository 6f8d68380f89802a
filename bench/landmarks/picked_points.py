"""MeshLab's picked points (.pp): a small XML file, of which nothing is expanded or fetched."""

from __future__ import annotations

from xml.etree import ElementTree


def picked_points(text: str) -> list[dict[str, str]]:
    """Attributes of every picked point, in the file's order: `x`, `y`, `z`, `name` …

    Raises:
        ValueError: it is no such XML, or declares entities, which can stand for any length.
    """
    if "<!ENTITY" in text:
        raise ValueError("entities are not read")
    try:
        points = ElementTree.fromstring(text).iter("point")
    except ElementTree.ParseError as error:
        raise ValueError(f"no picked points ({error})") from None
    return [dict(point.attrib) for point in points]
