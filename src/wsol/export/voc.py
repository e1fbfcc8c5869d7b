"""Pascal VOC: an XML file of boxes per image."""

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, SubElement

from wsol.export.files import write_xml, xml_text
from wsol.export.names import output_names
from wsol.inference.localization import Localization


def write_voc(
    results: Collection[Localization], path: Path, *, classes: Sequence[str], root: Path | None = None
) -> None:
    """Write ``Annotations/**.xml`` in the convention of the VOC development kit.

    Pixels count from 1 and ``xmax``, ``ymax`` are the last ones inside: a box x0, y0, x1, y1 of
    exclusive extents is written as x0 + 1, y0 + 1, x1, y1.

    Args:
        results: iterated twice, once more if ``root`` is ``None``.
        path: the folder.
        classes: not used; objects hold their label.
        root: folder below which image folders are mirrored; by default the deepest that holds all images.

    Raises:
        ValueError: an image outside the root.
    """
    for name, output, result in output_names(results, root):
        write_xml(_annotation(PurePosixPath(name), result), path / "Annotations" / f"{output}.xml")


def _annotation(name: PurePosixPath, result: Localization) -> Element:
    height, width = result.size
    annotation = Element("annotation")
    _add(annotation, folder=name.parent, filename=name.name)
    _add(SubElement(annotation, "size"), width=width, height=height, depth=3)
    _add(annotation, segmented=0)
    for found in result:
        for x0, y0, x1, y1 in found.boxes.tolist():
            thing = SubElement(annotation, "object")
            _add(thing, name=found.label, pose="Unspecified", truncated=0, difficult=0)
            _add(SubElement(thing, "bndbox"), xmin=x0 + 1, ymin=y0 + 1, xmax=x1, ymax=y1)
    return annotation


def _add(parent: Element, **children: object) -> None:
    for tag, value in children.items():
        SubElement(parent, tag).text = xml_text(str(value))
