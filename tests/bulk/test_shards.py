"""What is written of a shard: whole or not at all, readable by others, and ids that do not meet."""

import json
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from wsol import ImageError, Localizer, LocalizerOptions
from wsol.bulk import storage
from wsol.bulk.shards import IDS, SCHEMA, record_of, write_shard, written
from wsol.data.images import find_images
from wsol.models import Model


@pytest.fixture
def localized(model: Model, photos: Path) -> list[Any]:
    localizer = Localizer(model, LocalizerOptions(preset="fast", top_k=2, boxes="all"))
    return [localizer(path) for path in find_images([photos])[0]]


@pytest.fixture
def records(localized: list[Any]) -> list[dict[str, Any]]:
    good = [record_of(str(result.path), result) for result in localized]
    return [*good[:2], record_of("bad\udcff.png", ImageError("bad", "truncated")), *good[2:]]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' decode
def test_table_and_coco_say_what_was_found(
    localized: list[Any], records: list[dict[str, Any]], model: Model, photos: Path, tmp_path: Path
) -> None:
    write_shard(str(tmp_path), 3, records, classes=model.classes.names, root=str(photos), coco=True)
    table = pq.read_table(tmp_path / "boxes" / "000003.parquet")
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    assert [row["rank"] for row in rows] == [1, 2, 1, 2, None, *[1, 2] * 4]
    assert rows[4] == dict.fromkeys(SCHEMA.names) | {"image": "bad\\udcff.png", "error": "truncated"}
    good = [row for row in rows if row["error"] is None]
    every = [found for result in localized for found in result]
    for row, found in zip(good, every, strict=True):
        assert (row["height"], row["width"]) == found.size
        assert (row["label"], row["class_index"], row["probability"]) == (
            found.label,
            found.class_index,
            found.probability,
        )
        np.testing.assert_array_equal(np.reshape(row["boxes"], (-1, 4)), found.boxes)
        np.testing.assert_array_equal(row["scores"], found.scores)
        masks = [coco_mask.decode({**mask, "counts": mask["counts"].encode()}) for mask in row["masks"]]
        for mask, area, expected in zip(masks, row["areas"], found.masks, strict=True):
            np.testing.assert_array_equal(mask, expected)
            assert area == expected.sum()
    reader = COCO(str(tmp_path / "coco" / "000003.json"))
    assert sum(map(len, (found.boxes for found in every))) == len(reader.anns)
    assert [image["file_name"] for image in reader.imgs.values()] == [
        path.relative_to(photos).as_posix() for path in find_images([photos])[0]
    ]


def test_ids_of_two_shards_do_not_meet(records: list[dict[str, Any]], tmp_path: Path) -> None:
    for shard in (0, 1):
        write_shard(str(tmp_path), shard, records, classes=["a"] * 5, root="", coco=True)
    data = [json.loads((tmp_path / "coco" / f"{shard:06d}.json").read_text()) for shard in (0, 1)]
    for kind in ("images", "annotations"):
        ids = [each["id"] for part in data for each in part[kind]]
        assert len(ids) == len(set(ids))
        assert all(0 < each["id"] < IDS for each in data[0][kind])
    assert {each["image_id"] for each in data[1]["annotations"]} <= {each["id"] for each in data[1]["images"]}


def test_an_empty_shard_is_done_too(tmp_path: Path) -> None:
    write_shard(str(tmp_path), 0, [], classes=["a"], root="", coco=False)
    assert written(str(tmp_path)) == {0}
    assert not (tmp_path / "coco").exists()


def test_a_shard_whose_table_is_not_there_is_not_done(
    records: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(OSError, match="No space left"):
        write_shard(str(tmp_path), 0, records, classes=["a"] * 5, root="", coco=True)
    assert written(str(tmp_path)) == set()
    assert not list((tmp_path / "boxes").iterdir())
    assert json.loads((tmp_path / "coco" / "000000.json").read_text())["images"]


def test_files_of_other_names_are_no_shards(tmp_path: Path) -> None:
    (tmp_path / "boxes").mkdir()
    for name in ("000001.parquet", ".a1b2.tmp", "notes.parquet", "000002.json"):
        (tmp_path / "boxes" / name).touch()
    assert written(str(tmp_path)) == {1}
    assert written(str(tmp_path / "nowhere")) == set()


def test_other_stores(records: list[dict[str, Any]]) -> None:
    write_shard("memory://results/", 7, records, classes=["a"] * 5, root="", coco=True)
    assert written("memory://results") == {7}
    assert sorted(fsspec.filesystem("memory").find("/results")) == [
        "/results/boxes/000007.parquet",
        "/results/coco/000007.json",
    ]
    assert storage.read("memory://results/none") is None
    storage.remove("memory://results")
    assert written("memory://results") == set()
