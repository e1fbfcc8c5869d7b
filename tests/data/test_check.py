"""What the check of a data set finds."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.data.sets import boxed_set, masked_set, official, picture, real, real_sets, write
from wsol.data.check import Report, _look, check
from wsol.data.dataset import Box, Example, Problem, Split, Truth, open_data
from wsol.data.known import KNOWN, exactly, miscounts, recognise


def _text(report: Report) -> str:
    parts = [text for part in report.splits for text in (*part.missing, *part.problems)]
    return "\n".join([*parts, *report.problems])


def test_all_well(tmp_path: Path) -> None:
    report = check(open_data(boxed_set(tmp_path)))
    assert report.well, _text(report)
    assert [part.name for part in report.splits] == ["train", "val", "test"]
    assert report.taken_for.startswith("Taken for none of the known")
    assert report.notes == [
        "1 classes of val have no picture in train, first label 1.",
        "1 classes of test have no picture in train, first label 1.",
    ]
    report = check(open_data(masked_set(tmp_path)), progress=True)
    assert report.well, _text(report)
    assert report.notes[0].startswith("Nobody named the classes")


def test_files(tmp_path: Path) -> None:
    boxed_set(tmp_path)
    picture(tmp_path / "images" / "ant" / "2.png", 30, 40)
    (tmp_path / "images" / "bee" / "1.png").unlink()
    (tmp_path / "images" / "ant" / "4.png").write_bytes(b"no image")
    report = check(open_data(tmp_path))
    assert not report.well
    train, val, test = report.splits
    assert (train.missing, train.problems) == ([], [])
    assert val.missing == ["bee/1.png"]
    assert val.problems == [
        "metadata/val/image_ids.txt, line 2: ant/2.png is 30 × 40, the table says 40 × 30"
    ]
    assert test.missing == []
    assert "ids.txt, line 2: " in test.problems[0]
    assert "4.png: not an image in a format that can be read" in test.problems[0]


def test_files_of_a_large_set_are_looked_at_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    submitted = 0

    class Pool(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal submitted
            submitted += 1
            return super().submit(*args, **kwargs)

    monkeypatch.setattr("wsol.data.check.ThreadPoolExecutor", Pool)
    found = _look(Path("nowhere"), ["a.jpg"] * 25_001, upright=False, progress=False)
    assert next(found) == (None, "")
    assert submitted == 10_000
    assert list(found) == [(None, "")] * 25_000
    assert submitted == 25_001


def test_mask_files(tmp_path: Path) -> None:
    masked_set(tmp_path)
    official(tmp_path, "test", image_sizes="bee/3,x.png,40,30\nant/4.png,40,30\n")
    (tmp_path / "masks" / "m" / "ig.png").unlink()
    (tmp_path / "masks" / "b1.png").write_bytes(b"")
    picture(tmp_path / "masks" / "a4.png", 9, 9)
    _, val, test = check(open_data(tmp_path)).splits
    assert "b1.png: the file is empty" in val.problems[0]
    assert test.missing == ["m/ig.png (mask of bee/3,x.png)"]
    assert test.problems == [
        "metadata/test/image_ids.txt, line 2: the mask a4.png is 9 × 9, its picture 40 × 30"
    ]


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    masked_set(tmp_path)
    for name in ("images", "masks"):
        (tmp_path / name).rename(tmp_path / f"old {name}")
    (tmp_path / "images").mkdir()
    data = open_data(tmp_path)
    (tmp_path / "images").rmdir()
    found = _text(check(data))
    assert "images: no such folder; name the folder of the images with --images" in found
    assert "masks: no such folder; name it with --masks" in found


def test_splits(tmp_path: Path) -> None:
    boxed_set(tmp_path)
    official(tmp_path, "train", image_ids="ant/2.png\n", class_labels="ant/2.png,0\n", image_sizes="")
    (tmp_path / "metadata" / "test" / "class_labels.txt").unlink()
    write(
        tmp_path, {"metadata/val/localization.txt": "bee/1.png,1,2,30,20\n"}
    )  # ant/2.png is out, and counts
    report = check(open_data(tmp_path))
    assert report.problems[0].startswith("train and val share 1 images, first ant/2.png")
    assert "class_labels.txt: missing" in report.splits[2].problems[0]
    assert not report.well


def test_missing_images_in_folders_that_cannot_be_listed(tmp_path: Path) -> None:
    boxed_set(tmp_path)
    ids = [f"{300 * 'n'}/a.png", "classes.txt/a.png"]
    tables = {"image_ids": "", "class_labels": ",0", "image_sizes": ",40,30", "localization": ",1,2,3,4"}
    official(
        tmp_path, "val", **{name: "".join(f"{id}{rest}\n" for id in ids) for name, rest in tables.items()}
    )
    val = check(open_data(tmp_path)).splits[1]
    assert val.missing == ids
    assert val.problems == []


def test_images_that_were_renamed(tmp_path: Path) -> None:
    boxed_set(tmp_path)
    for name in ("bee/1.png", "ant/2.png", "ant/1.png"):
        (tmp_path / "images" / name).rename(tmp_path / "images" / f"{name[:3]}/x{name[4]}.png")
    write(tmp_path, {"metadata/test/localization.txt": "ant/4.png,5,6,7,8\n"})
    (tmp_path / "images" / "bee" / "3,x.png").unlink()  # now bee/ holds one file, and one is listed in val
    val = check(open_data(tmp_path)).splits[1]
    assert val.missing == ["bee/1.png", "ant/2.png"]
    assert (
        "in 1 folders no listed image is there, but as many others are (bee: 1.png is listed, x1.png is"
        in (val.problems[0])
    )
    assert "renamed between releases" in val.problems[0]


def _split(name: str, examples: list[Example], truth: Truth = "boxes", *problems: Problem) -> Split:
    return Split(name, truth, tuple(examples), problems, "")


BOX: Box = (0, 0, 9, 9)


def _cub() -> dict[str, Split]:
    """As CUB is: in val class 0 has three images, class 1 has seven, the other five each."""
    labels = {
        "train": [index % 200 for index in range(5994)],
        "val": [0] * 3 + [1] * 7 + [label for label in range(2, 200) for _ in range(5)],
        "test": [index % 200 for index in range(5794)],
    }
    return {
        name: _split(
            name, [Example(f"{k:03}.Bird/{name}{i}.jpg", k, boxes=(BOX,)) for i, k in enumerate(row)]
        )
        for name, row in labels.items()
    }


def test_cub_as_it_is() -> None:
    splits = _cub()
    known, reason = recognise(splits)
    assert known is KNOWN["cub"]
    assert reason == (
        "Taken for CUB-200-2011 with CUBV2: train and val and test have about its number of images, "
        "and ids like its."
    )
    assert list(miscounts(known, splits)) == []


def test_cub_with_faults() -> None:
    splits = _cub()
    extra = Example("000.Bird/more.jpg", 0, boxes=(BOX, BOX))
    splits["val"] = _split("val", [*splits["val"].examples, extra])
    del splits["train"]
    assert list(miscounts(KNOWN["cub"], splits)) == [
        "train: the split is missing, CUB-200-2011 with CUBV2 has 5,994 images in it",
        "val: 1,001 usable images, CUB-200-2011 with CUBV2 has 1,000",
        "val: 1,002 boxes, CUB-200-2011 with CUBV2 has 1,000",
        "val: 1 images with several boxes, first 000.Bird/more.jpg; CUB-200-2011 with CUBV2 has one each",
        "val: 0 classes have 3 images, in CUB-200-2011 with CUBV2 one has",
    ]


def test_openimages_needs_masks() -> None:
    examples = [Example(f"{i:016x}.jpg", i % 99, boxes=(BOX,)) for i in range(2500)]
    splits = {"val": _split("val", examples)}
    known, _ = recognise(splits)
    assert known is KNOWN["openimages"]
    assert list(miscounts(known, splits)) == [
        "train: the split is missing, OpenImages30K has 29,819 images in it",
        "val: 99 classes, OpenImages30K has 100",
        "val: it has boxes, OpenImages30K has masks",
        "test: the split is missing, OpenImages30K has 5,000 images in it",
    ]


def test_like_imagenet_but_smaller() -> None:
    splits = {"test": _split("test", [Example(f"ILSVRC2012_val_{i:08}.JPEG", 0) for i in range(100)])}
    known, reason = recognise(splits)
    assert known is None
    assert "look like those of ImageNet with ImageNetV2" in reason
    assert "--expect imagenet" in reason


def test_pictures_with_problems_count_for_recognition() -> None:
    splits = _cub()
    val = list(splits["val"].examples)
    gone = [Problem("x", "y", example.id) for example in val[500:]]
    splits["val"] = _split("val", val[:500], "boxes", *gone, *gone)
    assert recognise(splits)[1].startswith("Taken for CUB-200-2011 with CUBV2: train and val and test")


def test_exactly() -> None:
    splits = _cub()
    assert exactly(splits) is KNOWN["cub"]
    assert exactly({"test": splits["test"]}) is KNOWN["cub"]
    test = splits["test"].examples
    fewer = _split("test", list(test[1:]))
    assert recognise({"test": fewer})[0] is KNOWN["cub"]
    assert exactly({**splits, "test": fewer}) is None
    assert exactly({"test": fewer}) is None
    left_out = _split("test", list(test[1:]), "boxes", *[Problem("x", "y", test[0].id)] * 2)
    assert exactly({"test": left_out}) is KNOWN["cub"]  # it is listed
    assert exactly({"test": _split("test", list(test), "masks")}) is None
    assert exactly({"train": _split("train", list(splits["train"].examples), "none")}) is KNOWN["cub"]
    mine = [Example(f"{index}.jpg", 0, boxes=(BOX,)) for index in range(1000)]
    assert exactly({"val": _split("val", mine)}) is None  # as many by chance
    assert exactly({**splits, "train-proxy": splits["train"]}) is None
    assert exactly({}) is None


def test_what_is_expected_is_not_guessed(tmp_path: Path) -> None:
    data = open_data(boxed_set(tmp_path))
    report = check(data, KNOWN["cub"])
    assert report.taken_for == "Held against the numbers of CUB-200-2011 with CUBV2, as asked."
    assert "train: 1 usable images, CUB-200-2011 with CUBV2 has 5,994" in report.problems
    report = check(data, guess=False)
    assert report.well
    assert report.taken_for == "Held against no known numbers, as asked."


@real_sets
def test_real_sets(name: str, metadata: str) -> None:
    report = check(open_data(real(name), metadata=metadata))
    assert report.well, _text(report)


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN.keys())
def test_counts_are_the_ones_of_the_protocol(known: object) -> None:
    published = {
        "cub": ((5994, 1000, 5794), (1000, 5794)),
        "imagenet": ((10_000, 50_000), (18_532, 80_477)),
        "openimages": ((29_819, 2500, 5000), (3854, 7632)),
    }
    images, objects = published[known.name]  # type: ignore[attr-defined]
    assert tuple(known.images.values()) == images  # type: ignore[attr-defined]
    assert tuple(known.objects.values()) == objects  # type: ignore[attr-defined]
