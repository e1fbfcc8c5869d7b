"""Vector pictures inside an HTML page whose content-security policy allows no inline style."""

import re
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

_NAMESPACE = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_DROPPED = {f"{_NAMESPACE}metadata", f"{_NAMESPACE}style"}
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


def inline_svg(text: str, name: str, description: str) -> Markup:
    """Matplotlib's SVG as an element of a page.

    Its styles become attributes, which the policy allows and the page's style sheet can override with
    the theme's colours; ids begin with ``name``, so that several plots do not share them.

    Args:
        text: the SVG, as this program has drawn it.
        name: letters, digits and ``-``; unique in the page.
        description: what the picture shows, for who cannot see it.
    """
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in _DROPPED]:
            parent.remove(child)
    for element in root.iter():
        _rewrite(element, name)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib.update({"class": "plot", "role": "img", "aria-label": description})
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _rewrite(element: ElementTree.Element, name: str) -> None:
    element.tag = element.tag.removeprefix(_NAMESPACE)  # HTML knows the namespace by itself
    for declaration in element.attrib.pop("style", "").split(";"):
        key, colon, value = declaration.partition(":")
        if colon:
            element.attrib[key.strip()] = value.strip()
    if "id" in element.attrib:
        element.attrib["id"] = f"{name}-{element.attrib['id']}"
    if _HREF in element.attrib:
        element.attrib["href"] = element.attrib.pop(_HREF).replace("#", f"#{name}-", 1)
    for key, value in element.attrib.items():
        element.attrib[key] = _REFERENCE.sub(rf"url(#{name}-\1)", value)


def outline(mask: NDArray[np.bool_]) -> str:
    """The edges of a mask's pixels as the data of an SVG path, holes too.

    Args:
        mask: (H, W), bool.

    Returns:
        ``M x y H x`` and ``M x y V y`` for each straight piece, in pixels of the mask; "" for an empty one.
    """
    padded = np.pad(mask, 1)
    rows = _runs(padded[1:, 1:-1] != padded[:-1, 1:-1])  # edges above each row, and below the last
    columns = _runs((padded[1:-1, 1:] != padded[1:-1, :-1]).T)
    pieces = [f"M{start} {line}H{end}" for line, start, end in rows]
    return "".join(pieces + [f"M{line} {start}V{end}" for line, start, end in columns])


def _runs(edges: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Line, start and end of every run of edges: (lines, places) bool."""
    steps = np.diff(np.pad(edges, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lines, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return list(zip(lines.tolist(), starts.tolist(), ends.tolist(), strict=True))


def rectangle(box: tuple[int, int, int, int], kind: str) -> Markup:
    """A box with a light line behind it, so that it is seen on any photograph.

    Args:
        box: exclusive extents x0, y0, x1, y1.
        kind: its class in the style sheet.
    """
    x0, y0, x1, y1 = box
    place = f'x="{x0:g}" y="{y0:g}" width="{x1 - x0:g}" height="{y1 - y0:g}"'
    return Markup(f'<rect class="halo" {place}/><rect class="{escape(kind)}" {place}/>')
