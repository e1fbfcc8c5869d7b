"""What a run writes of each shard: a COCO data set, and a table, which says that the shard is done."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from wsol.bulk import storage
from wsol.errors import ImageError
from wsol.export.coco import annotations_of, write_data_set
from wsol.inference.localization import Localization

TABLES = "boxes"
"""Folder of the tables."""

COCO = "coco"
"""Folder of the COCO data sets."""

IDS = 10**8
"""COCO ids of shard *i* begin at this times *i*, so that those of two shards can be put together."""

SCHEMA = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        ("error", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("rank", pa.int32()),
        ("label", pa.string()),
        ("class_index", pa.int32()),
        ("probability", pa.float64()),
        ("uncertainty", pa.float64()),
        ("boxes", pa.list_(pa.list_(pa.int32(), 4))),
        ("scores", pa.list_(pa.float64())),
        ("areas", pa.list_(pa.int64())),
        ("masks", pa.list_(pa.struct([("size", pa.list_(pa.int32(), 2)), ("counts", pa.string())]))),
    ]
)
"""Columns of a table. A row is one class (the most probable has rank 1) in one image, or an image that could
not be used, with the reason as ``error`` and nothing else. Boxes are x0, y0, x1, y1 in pixels of the upright
photograph, x1 and y1 exclusive; areas and masks are of the pixels of each box, masks in COCO's compressed run
lengths."""


def record_of(name: str, result: Localization | ImageError) -> dict[str, Any]:
    """What is kept of an image, as JSON types."""
    if isinstance(result, ImageError):
        return {"image": name, "error": result.reason}
    height, width = result.size
    found = [
        {
            "label": each.label,
            "class_index": each.class_index,
            "probability": each.probability,
            "uncertainty": each.uncertainty,
            "annotations": list(annotations_of(each)),
        }
        for each in result
    ]
    return {"image": name, "width": width, "height": height, "found": found}


def write_shard(
    output: str,
    shard: int,
    records: Sequence[dict[str, Any]],
    *,
    classes: Sequence[str],
    root: str,
    coco: bool,
) -> None:
    """Write both files of a shard, the table last.

    Args:
        output: the folder of the run.
        shard: its number.
        records: of :func:`record_of`, in the order of the plan.
        classes: names of all classes.
        root: the folder that COCO's ``file_name`` is relative to.
        coco: whether a COCO data set is wanted.
    """
    if coco:
        storage.write(storage.join(output, COCO, f"{shard:06d}.json"), _coco(shard, records, classes, root))
    table = pa.Table.from_pylist([row for record in records for row in _rows(record)], SCHEMA)
    with storage.writing(storage.join(output, TABLES, f"{shard:06d}.parquet")) as file:
        pq.write_table(table, file)


def written(output: str) -> set[int]:
    """The shards that are done."""
    found = (name.partition(".") for name in storage.names(storage.join(output, TABLES)))
    return {int(stem) for stem, _, suffix in found if suffix == "parquet" and stem.isdigit()}


def _rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name = record["image"].encode(errors="backslashreplace").decode()  # bytes that are not UTF-8
    image = {key: value for key, value in record.items() if key != "found"} | {"image": name}
    if "found" not in record:
        yield image
    for rank, found in enumerate(record.get("found", ()), start=1):
        annotations = found["annotations"]
        corners = [each["bbox"] for each in annotations]
        yield {
            **image,
            "rank": rank,
            **{key: found[key] for key in ("label", "class_index", "probability", "uncertainty")},
            "boxes": [[x0, y0, x0 + width, y0 + height] for x0, y0, width, height in corners],
            "scores": [each["score"] for each in annotations],
            "areas": [each["area"] for each in annotations],
            "masks": [each["segmentation"] for each in annotations],
        }


def _coco(shard: int, records: Sequence[dict[str, Any]], classes: Sequence[str], root: str) -> bytes:
    good = [record for record in records if "found" in record]
    images = (
        {
            "id": shard * IDS + index,
            "file_name": record["image"].removeprefix(root + "/"),
            "width": record["width"],
            "height": record["height"],
            "uncertainty": record["found"][0]["uncertainty"],
        }
        for index, record in enumerate(good, start=1)
    )
    text = io.StringIO()
    write_data_set(text, classes, images, _annotations(shard, good))
    return text.getvalue().encode()


def _annotations(shard: int, records: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    number = shard * IDS
    for index, record in enumerate(records, start=1):
        for found in record["found"]:
            for annotation in found["annotations"]:
                number += 1
                yield {"id": number, "image_id": shard * IDS + index, **annotation}
