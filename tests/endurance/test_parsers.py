"""Whatever a file holds, it is read, or refused by an error that names it; nothing else, and soon."""

import io
import json
import re
import time
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import ones

from tests.data.sets import write
from tests.endurance.damage import EXTREMES, LEAVES, damaged
from tests.evaluation.test_result import make_result
from tests.report.conftest import localization, photo
from wsol.data.dataset import open_data
from wsol.data.runs import decode
from wsol.errors import ModelError, UsageError, WsolError
from wsol.evaluation.labels import read_class_map
from wsol.evaluation.result import load_result
from wsol.evaluation.sources import read_predictions
from wsol.inference.journal import Journal, read_state
from wsol.methods.saved import describe
from wsol.models.classes import Classes, read_classes
from wsol.models.weights import read_state_dict
from wsol.training.directory import finished
from wsol.training.recipes import read_config

SLOW = 5.0
"""Seconds that nothing takes; a file of 200 kB takes well below one."""

Parse = Callable[[bytes], Any]


@dataclass(frozen=True)
class Entrance:
    """A way into the package.

    Attributes:
        name: of the case.
        files: that are valid, by name.
        read: of the folder that they lie in.
        parse: of the content of a file that is a document, as JSON is.
        pack: makes the file of its content.
    """

    name: str
    files: Mapping[str, bytes]
    read: Callable[[Path], object]
    parse: Parse | None = None
    pack: Callable[[bytes], bytes] = bytes

    def __str__(self) -> str:
        return self.name


def read_data(folder: Path) -> None:
    """Every split of a data set, which keeps what other parts rely on."""
    data = open_data(folder)
    for name in data.tables:
        try:
            split = data.split(name)
        except WsolError as error:
            assert folder.name in str(error)
            continue
        ids = [example.id for example in split.examples]
        assert len(set(ids)) == len(ids) > 0
        assert not set(ids) & {problem.id for problem in split.problems}
        assert all(problem.where and problem.reason for problem in split.problems)
        assert split.fingerprint.startswith("sha256:")
        for example in split.examples:
            for path in map(Path, (example.id, *example.masks, example.ignore or "x")):
                assert ".." not in path.parts
                assert not path.is_absolute()
            assert all(x0 < x1 and y0 < y1 for x0, y0, x1, y1 in example.boxes)
            assert not (example.boxes and example.masks)


def read_journal(folder: Path) -> None:
    journal = Journal(folder / "results.jsonl")
    assert len(list(journal)) == len(journal) == len(journal.paths)
    assert all(path and reason for path, reason in journal.skipped) or journal.skipped
    assert not journal.is_done(Path("never seen"))


@cache
def _train_parser() -> Any:
    from wsol.commands.train import train_parser

    return train_parser()


def read_from_command_line(folder: Path) -> None:
    """``wsol train --config``, as far as its options."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            _train_parser().parse_args(["--config", str(folder / "config.yaml")])
    except SystemExit as error:
        assert error.code == 2
        assert said.getvalue().startswith("error: ")


def read_use(folder: Path) -> None:
    description = describe(folder / "best.safetensors")
    assert 1 <= description.input_size <= 4096
    assert all(isinstance(name, str) for name in description.classes.names)


def _official(truth: bytes) -> dict[str, bytes]:
    return {
        "metadata/val/image_ids.txt": b"a.jpg\nb,c.jpg\nd/e.jpg\n",
        "metadata/val/class_labels.txt": b"a.jpg,1\nb,c.jpg,0\nd/e.jpg,1\n",
        "metadata/val/image_sizes.txt": b"a.jpg,40,30\nb,c.jpg,40,30\nd/e.jpg,40,30\n",
        "metadata/val/localization.txt": truth,
        "classes.txt": b"ant\nbee\n",
    }


CSV = b"image,label,split,x0,y0,x1,y1,boxes,mask,ignore,width,height\n" + b"".join(
    b"%s,bee,%s,1,2,30,20,3 4 5 6; 7 8 9 10,,,40,30\n" % (name, split)
    for name in (b"a.jpg", b'"b,c.jpg"')
    for split in (b"train", b"val")
)
COCO = {
    "categories": [{"id": 1, "name": "ant"}, {"id": 7, "name": "bee"}],
    "images": [{"id": 3, "file_name": "a.jpg", "width": 40, "height": 30}, {"id": "b", "file_name": "b.jpg"}],
    "annotations": [
        {"image_id": 3, "category_id": 7, "bbox": [1, 2.5, 30, 20], "iscrowd": 0, "segmentation": []},
        {"image_id": "b", "category_id": 1, "bbox": [1, 2, 3, 4]},
    ],
}
VOC = b"""<?xml version="1.0"?>
<annotation><filename>a.jpg</filename><size><width>40</width><height>30</height></size>
<object><name>bee</name><bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>
<object><name>bee</name></object><label>ant</label></annotation>
"""
CONFIG = {
    "data": "photos", "backbone": "resnet18", "method": "spg",
    "spg": {"layers": ["layer2", "layer3", "layer4"]},
    "mean": [0.5, 0.5, 0.5], "input_size": 64, "val_share": 0.2, "overwrite": False,
    "training": {"epochs": 3, "schedule": "step", "decay_epochs": [2, 3], "head_layers": None, "seed": 1},
    "trainer": {"devices": "auto", "loggers": ["tensorboard"], "workers": None},
    "validation": {"threshold": "percentile", "percentile": 90.0},
}  # fmt: skip
RUN = {
    "status": "finished", "method": "CAM", "warnings": ["few images"], "calls": [{"at": "2026", "git": None}],
    "data": {"name": "toys", "images": 3, "fingerprints": {"train": "sha256:0"}, "held_out": []},
    "rows": [{"epoch": 1, "loss": 0.5}], "best": {"epoch": 1, "loss": 0.5}, "criterion": "Top-1 Cls",
    "ratio": 0.3, "balanced_ratio": None, "skipped": ["a.jpg: empty"],
}  # fmt: skip
STATE = {
    "settings": {"backbone": "resnet18", "mean": [0.5]},
    "formats": ["coco"],
    "versions": {},
    "images": 3,
}
HEADER = {
    "format": 1,
    "backbone": {"backbone": "test_resnet", "checkpoint": None, "classes": None, "mean": [0.1, 0.2, 0.3]},
    "method": {"method": "has", "has": {"sizes": [8, 16]}},
    "classes": {"names": ["ant", "bee"], "aliases": [["ant"], ["bee"]]},
    "input_size": 64, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "initial_weights": "random",
    "run": {"name": "run7", "title": "HaS", "seed": 7, "epoch": 2, "epochs": 3, "data": "birds"},
    "use": {"map": "nwc", "threshold": "percentile", "percentile": 80.0, "ratio": 0.45},
}  # fmt: skip


def _result() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        make_result().save(Path(folder))
        found: dict[str, Any] = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
        return found


def _line(**changes: Any) -> dict[str, Any]:
    inner = localization(photo((8, 9)), (8, 9), frame=(28, 28))
    result = localization(photo((8, 9)), (8, 9), frame=(28, 28), alternatives=(inner,)).to_dict()
    return {"path": "a.jpg", "stamp": [3, 4], "result": result | {"path": "a.jpg"} | changes}


def _json(content: bytes) -> Any:
    return json.loads(content)


def _dumped(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def _with_header(content: bytes) -> bytes:
    """A safetensors file with this description."""
    return save({"weight": ones(1)}, metadata={"wsol": content.decode(errors="replace")})


MODEL = Classes(("ant", "bee", "cat"), (("a",), ("b",), ("c",)))
ENTRANCES = [
    Entrance(
        "official boxes", _official(b"a.jpg,1,2,30,20\nb,c.jpg,1,2,3,4\nd/e.jpg,0,0,40,30\n"), read_data
    ),
    Entrance(
        "official masks", _official(b"a.jpg,m/a.png,i.png\nb,c.jpg,b.png,\nd/e.jpg,e.png,\n"), read_data
    ),
    Entrance("manifest", {"manifest.csv": CSV, "classes.txt": b"ant\nbee\n"}, read_data),
    Entrance("coco", {"val.json": _dumped(COCO)}, read_data, _json),
    Entrance("voc", {"Annotations/a.xml": VOC, "ImageSets/Main/val.txt": b"a\n"}, read_data),
    Entrance(
        "config",
        {"config.yaml": _dumped(CONFIG)},
        lambda folder: read_config(folder / "config.yaml"),
        yaml.safe_load,
    ),
    Entrance(
        "config of the command", {"config.yaml": _dumped(CONFIG)}, read_from_command_line, yaml.safe_load
    ),
    Entrance(
        "journal",
        {"results.jsonl": json.dumps(_line()).encode() + b"\n"},
        read_journal,
        lambda content: _json(content.splitlines()[0]),
    ),
    Entrance("state", {"run.json": _dumped(STATE)}, lambda folder: read_state(folder / "run.json"), _json),
    Entrance("training", {"run.json": _dumped(RUN)}, finished, _json),
    Entrance("result", {"result.json": _dumped(_result())}, load_result, _json),
    Entrance("description", {"best.safetensors": _dumped(HEADER)}, read_use, _json, _with_header),
    Entrance("weights", {"best.safetensors": _with_header(_dumped(HEADER))}, read_use),
    Entrance("classes", {"classes.txt": b"ant\nbee\n"}, lambda folder: read_classes(folder / "classes.txt")),
    Entrance(
        "class map",
        {"map.csv": b"x,bee\n1,ant\n"},
        lambda folder: read_class_map(folder / "map.csv", ("x", "y"), 2, MODEL),
    ),
    Entrance(
        "predictions",
        {"predictions.csv": b"a.jpg,ant,1\nb.jpg,bee,0\n"},
        lambda folder: read_predictions(folder / "predictions.csv", ("ant", "bee", "cat"), 3),
    ),
]


def survives(entrance: Entrance, name: str, content: bytes) -> None:
    """One of the files holds this; the others are valid."""
    with TemporaryDirectory() as place:
        files = {**entrance.files, name: content}
        folder = write(Path(place), {name: entrance.pack(content) for name, content in files.items()})
        began = time.monotonic()
        try:
            entrance.read(folder)
        except WsolError as error:
            assert folder.name in str(error), error
            assert len(str(error)) < 5000
        assert time.monotonic() - began < SLOW


def draw_and_read(entrance: Entrance, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(entrance.files)), "file")
    survives(entrance, name, data.draw(damaged(entrance.files[name], entrance.parse), "content"))


@pytest.mark.parametrize("entrance", ENTRANCES, ids=str)
def test_valid_files_are_read(entrance: Entrance, tmp_path: Path) -> None:
    """Else the damage would be to something that was never read."""
    entrance.read(write(tmp_path, {name: entrance.pack(each) for name, each in entrance.files.items()}))


@pytest.mark.parametrize("entrance", ENTRANCES, ids=str)
def test_extremes(entrance: Entrance) -> None:
    """As the whole of each file; and 5,000 digits in place of each of its words."""
    for name, whole in entrance.files.items():
        for content in EXTREMES:
            survives(entrance, name, content)
        for word in re.finditer(rb"[^\s,;<>/\":{}\[\]]+", whole):
            survives(entrance, name, whole[: word.start()] + 5000 * b"9" + whole[word.end() :])


@pytest.mark.parametrize("entrance", ENTRANCES, ids=str)
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files_are_read_or_refused(entrance: Entrance, data: st.DataObject) -> None:
    draw_and_read(entrance, data)


@pytest.mark.endurance
@pytest.mark.parametrize("entrance", ENTRANCES, ids=str)
@settings(max_examples=3000, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_many_damaged_files(entrance: Entrance, data: st.DataObject) -> None:
    draw_and_read(entrance, data)


def test_compressed_maps_make_no_more_than_they_say(tmp_path: Path) -> None:
    """A kilobyte can hold a gigabyte of zeros; so can numbers that are no size of a picture."""
    zeros = b64encode(zlib.compress(bytes(100_000_000), 9)).decode()
    bombs: dict[str, dict[str, Any]] = {
        "it should hold 1568 bytes, and holds more": {"components": zeros},
        "it should hold 4 bytes, and holds more": {"maps": {"map": {"shape": [2, 2], "uint8_zlib": zeros}}},
        "no shape of a map": {"maps": {"map": {"shape": [2**20, 2**20], "uint8_zlib": zeros}}},
        "no frame of a picture": {"frame": [2**20, 2**20], "components": zeros},
        "no size of a picture": {"width": 2**40},
    }
    path = tmp_path / "results.jsonl"
    for reason, changes in bombs.items():
        path.write_bytes(_dumped(_line(**changes)).replace(b"\n", b"") + b"\n")
        tracemalloc.start()
        with pytest.raises(WsolError, match=rf"results\.jsonl, line 1 is no result of a run: .*{reason}"):
            Journal(path)
        assert tracemalloc.get_traced_memory()[1] < 10e6
        tracemalloc.stop()


@pytest.mark.parametrize("read", [read_config, None], ids=["from Python", "from the command line"])
def test_a_configuration_that_multiplies_or_never_ends(read: Any, tmp_path: Path) -> None:
    """A list of nine lists of nine lists …; a list inside itself; brackets that end the process."""
    laughs = ["data: &a0 [x, x, x, x, x, x, x, x, x]"]
    laughs += [f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}'])}]" for n in range(1, 10)]
    for content in ("\n".join(laughs), "training: &a {epochs: *a}", "data: " + 40_000 * "[" + 40_000 * "]"):
        (tmp_path / "config.yaml").write_text(content)
        if read is None:
            read_from_command_line(tmp_path)
        else:
            with pytest.raises(
                UsageError, match=r"cannot read .*config\.yaml, line \d+: (\*a|values inside)"
            ):
                read(tmp_path / "config.yaml")


def test_tensors_of_a_checkpoint_are_there(tmp_path: Path) -> None:
    """By strides a file of a few bytes has a head of 10⁹ classes."""
    path = tmp_path / "a.pth"
    for tensor in (ones(1).expand(10**9, 512), ones(2, 3, device="meta"), ones(2, 3, dtype=torch.complex64)):
        torch.save({"fc.weight": tensor}, path)
        with pytest.raises(ModelError, match=r"a\.pth holds no state dict of plain tensors"):
            read_state_dict(path)


LEAF = st.sampled_from(LEAVES)
POLYGONS = st.lists(LEAF | st.lists(LEAF | st.floats(-50, 50), max_size=8), max_size=3)
COUNTS = LEAF | st.text(max_size=9) | st.text("0123456789:;<=>?@ABno`", max_size=9) | st.lists(st.integers())
RUNS = st.fixed_dictionaries({"size": st.just([3, 4]) | LEAF, "counts": COUNTS})


@given(LEAF | POLYGONS | RUNS)
def test_segmentations(segmentation: object) -> None:
    try:
        assert decode(segmentation, (3, 4)).shape == (3, 4)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("entrance", ENTRANCES, ids=str)
def test_a_folder_in_place_of_a_file(entrance: Entrance, tmp_path: Path) -> None:
    for number, gone in enumerate(entrance.files):
        files = {name: entrance.pack(content) for name, content in entrance.files.items() if name != gone}
        folder = write(tmp_path / f"{number}", files)
        (folder / gone).mkdir(parents=True)
        try:
            entrance.read(folder)
        except (WsolError, IsADirectoryError) as error:
            assert str(folder) in str(error)
