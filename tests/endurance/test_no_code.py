"""Nothing that is read is executed: each entrance is given code to run, which would leave a file behind."""

import ast
import io
import json
import os
import pickle
import re
import shutil
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

import wsol
from tests.data.sets import official, write
from tests.evaluation.test_records import arrays_of
from tests.evaluation.test_result import make_result
from tests.evaluation.toys import make_records
from tests.training.conftest import config, squares, start
from wsol.cli import main
from wsol.data.dataset import open_data
from wsol.errors import DataError, ImageError, ModelError, UsageError, WsolError
from wsol.evaluation.records import load_records
from wsol.evaluation.result import load_result
from wsol.evaluation.sources import read_map
from wsol.inference.journal import Journal
from wsol.methods import MethodOptions, saved
from wsol.models import ModelOptions, build
from wsol.training.config import TrainConfig
from wsol.training.epochs import WholeCheckpoints
from wsol.training.erasing import read_erased
from wsol.training.recipes import read_config
from wsol.training.run import train

__all__ = ["config", "squares", "start"]  # fixtures

SOURCE = Path(wsol.__file__).parent


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    """What was shown to work, and must not have worked again when the test ends."""
    trap = Trap(tmp_path / "sprung")
    pickle.loads(pickle.dumps(trap))
    trap.path.rmdir()
    yield trap
    assert not trap.path.exists()


def _tensors(value: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def _tar(trap: Trap) -> bytes:
    """PyTorch's oldest format, whose tables are pickles of their own."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            content = pickle.dumps(trap, protocol=2)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


class _Scripted(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def _script(_: Trap) -> bytes:
    """TorchScript is a program."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's own end of it
        torch.jit.save(torch.jit.script(_Scripted()), file)
    return file.getvalue()


def _npy(value: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=True)
    return file.getvalue()


def _npz(**values: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **values)
    return file.getvalue()


CHECKPOINTS: dict[str, Callable[[Trap], bytes]] = {
    "among the tensors": lambda trap: _tensors({"fc.weight": torch.ones(2, 512), "x": trap}),
    "before there were archives": lambda trap: _tensors({"x": trap}, zipped=False),
    "as a key": lambda trap: _tensors({"state_dict": {}, "optimizer_states": [{"state": {0: trap}}]}),
    "alone": _tensors,
    "a bare pickle": lambda trap: pickle.dumps(trap, protocol=2),
    "a pickle of today": lambda trap: pickle.dumps({"state_dict": trap}, protocol=5),
    "a tar": _tar,
    "an array": lambda trap: _npy(np.array([trap], object)),
    "TorchScript": _script,
}
checkpoints = pytest.mark.parametrize("made", CHECKPOINTS.values(), ids=list(CHECKPOINTS))
scripts = pytest.mark.filterwarnings("ignore:.*TorchScript archive")  # that PyTorch then refuses


@scripts
@checkpoints
@pytest.mark.parametrize("name", ["a.pth", "a.bin", "a.safetensors"])
def test_checkpoints(made: Callable[[Trap], bytes], name: str, trap: Trap, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(made(trap))
    with pytest.raises(ModelError) as caught:
        build(ModelOptions(backbone="resnet18", checkpoint=str(tmp_path / name), input_size=64))
    told = "cannot be read" if name.endswith("safetensors") else "only tensors are loaded, never code"
    assert re.match(rf"{tmp_path / name} .*{told}", str(caught.value))
    assert "weights_only" not in str(caught.value)  # which PyTorch advises to set to False


@checkpoints
def test_trained_weights(made: Callable[[Trap], bytes], trap: Trap, tmp_path: Path) -> None:
    """In a file by itself, and in a run directory."""
    path = tmp_path / saved.WEIGHTS
    path.write_bytes(made(trap))
    for named in (path, tmp_path):
        with pytest.raises(ModelError, match=r"best\.safetensors cannot be read: "):
            wsol.load(str(named))


@scripts
@checkpoints
def test_checkpoints_of_a_training(made: Callable[[Trap], bytes], trap: Trap, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(made(trap))
    for asked in (None, False, True):
        with pytest.raises(WsolError, match=r"last\.ckpt cannot be read") as caught:
            WholeCheckpoints().load_checkpoint(path, weights_only=asked)
        assert "weights_only" not in str(caught.value)


def test_a_training_that_goes_on(config: TrainConfig, trap: Trap) -> None:
    """Its own checkpoint, with one value more: in what callbacks, the optimizer or Lightning keep."""
    config = replace(config, training=replace(config.training, epochs=1))
    folder = _trained(config)
    whole = torch.load(folder / "last.ckpt", weights_only=True)
    for place in ("callbacks", "optimizer_states", "loops", "hyper_parameters", "state_dict", "x"):
        torch.save(whole | {place: trap}, folder / "last.ckpt")
        with pytest.raises(WsolError, match=r"last\.ckpt cannot be read \(only tensors and plain values"):
            train(config, progress=False)
    wrongs: list[Any] = [[1], torch.ones(3), {"state_dict": {}}]
    for wrong in wrongs:
        torch.save(wrong, folder / "last.ckpt")
        with pytest.raises(WsolError, match=r"last\.ckpt cannot be read \(it is no checkpoint"):
            train(config, progress=False)


def test_a_callback_takes_its_own_values_alone(config: TrainConfig, tmp_path: Path) -> None:
    """A checkpoint names no other attribute: not the folder that is written to, not a method."""
    config = replace(config, training=replace(config.training, epochs=1))
    folder = _trained(config)
    whole = torch.load(folder / "last.ckpt", weights_only=True)
    (state,) = (state for name, state in whole["callbacks"].items() if name.startswith("Epochs"))
    state |= {"folder": str(tmp_path / "elsewhere"), "_write": "x", "__class__": "x"}
    torch.save(whole, folder / "last.ckpt")
    assert train(config, progress=False).folder == folder
    assert not (tmp_path / "elsewhere").exists()


def _trained(config: TrainConfig) -> Path:
    """A training that seems to have been stopped at its end."""
    folder = train(config, progress=False).folder
    told = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(told | {"status": "begun"}))
    return folder


ARRAYS: dict[str, Callable[[Trap], bytes]] = {
    "objects": lambda trap: _npy(np.array([[trap]], object)),
    "an archive": lambda trap: _npz(map=np.array([[trap]], object)),
    "a bare pickle": pickle.dumps,
    "an old pickle": lambda trap: pickle.dumps(trap, protocol=0),
    "a checkpoint": _tensors,
    "a header of code": lambda trap: _npy(np.zeros(3)).replace(
        b"'<f8'", f"[].__class__.__base__ or __import__('os').mkdir({str(trap.path)!r})".encode()
    ),
}
arrays = pytest.mark.parametrize("made", ARRAYS.values(), ids=list(ARRAYS))


@arrays
def test_maps(made: Callable[[Trap], bytes], trap: Trap, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(made(trap))
    with pytest.raises(ImageError, match=r"a\.npy: (not a \.npy file|an archive of arrays)"):
        read_map(tmp_path / "a.npy")


@arrays
def test_what_a_training_erased(made: Callable[[Trap], bytes], trap: Trap, tmp_path: Path) -> None:
    (tmp_path / "erased1.npy").write_bytes(made(trap))
    with pytest.raises(DataError, match=r"erased1\.npy is .*--overwrite begins anew"):
        read_erased(tmp_path / "erased1.npy", (1, 1))


@arrays
def test_records(made: Callable[[Trap], bytes], trap: Trap, tmp_path: Path) -> None:
    path = tmp_path / "test.npz"
    path.write_bytes(made(trap))
    with pytest.raises(DataError, match=r"test\.npz: not the records"):
        load_records(path, "boxes")


@pytest.mark.parametrize("name", ["ids", "labels", "depth", "histograms"])
def test_one_of_the_records(name: str, trap: Trap, tmp_path: Path) -> None:
    path = tmp_path / "test.npz"
    make_records("boxes", ["a", "b"], 1).save(path)
    np.savez(path, **arrays_of(path) | {name: np.array([trap, trap], object)})
    with pytest.raises(DataError, match=r"test\.npz: not the records"):
        load_records(path, "boxes")


def _tags(command: str) -> list[str]:
    tag = "!!python/object"
    return [
        f'{tag}/apply:os.system ["{command}"]',
        f'{tag}/apply:subprocess.check_output {{args: ["{command}"], kwds: {{shell: true}}}}',
        f'{tag}/new:os.system ["{command}"]',
        f'{tag}/new:type {{args: [x, {{extend: !!python/name:exec }}], listitems: "{command}"}}',
        f'{tag}:__main__.Trap {{path: "{command}"}}',
        "!!python/name:os.system",
        "!!python/module:antigravity",
    ]


@pytest.mark.parametrize("number", range(len(_tags(""))))
@pytest.mark.parametrize("key", ["data: ", "training:\n  epochs: ", "mean: [0.5, 0.5, ", "? "])
def test_tags_of_yaml(number: int, key: str, trap: Trap, tmp_path: Path) -> None:
    """In Python, as ``--config``, and as the value of an option."""
    tag = _tags(f"mkdir {trap.path}")[number]
    path = tmp_path / "config.yaml"
    path.write_text(key + tag + ("]" if "[" in key else ""))
    with pytest.raises(UsageError, match=r"cannot read .*config\.yaml, line [12]: the tag .* is refused"):
        read_config(path)
    assert _usage_error("train", "--config", str(path), "--quiet")


@pytest.mark.parametrize("number", range(len(_tags(""))))
@pytest.mark.parametrize("option", ["training.epochs", "trainer.loggers", "config"])
def test_tags_in_options(number: int, option: str, trap: Trap) -> None:
    assert _usage_error("train", f"--{option}", _tags(f"mkdir {trap.path}")[number])


def _usage_error(*words: str) -> bool:
    try:
        return main(words) == 2
    except SystemExit as error:
        return error.code == 2


CLASSES = [
    {"class_path": "os.mkdir", "init_args": {"path": "{}"}},
    {"class_path": "subprocess.Popen", "init_args": {"args": ["mkdir", "{}"]}},
    {"class_path": "pathlib.Path.mkdir", "dict_kwargs": {"self": "{}"}},
    {"__class__": "os.mkdir", "path": "{}"},
    {"py/object": "os.mkdir", "py/newargs": ["{}"]},
    {"_target_": "os.mkdir", "path": "{}"},
]
"""As jsonargparse, jsonpickle and Hydra name what is to be called."""
classes = pytest.mark.parametrize("given", CLASSES, ids="+".join)


def _aimed(given: dict[str, Any], trap: Trap) -> Any:
    return json.loads(json.dumps(given).replace("{}", str(trap.path)))


@classes
@pytest.mark.parametrize(
    "key", ["data", "method", "training", "trainer.accelerator", "spg", "output", "bridging"]
)
def test_class_paths_in_a_configuration(given: dict[str, Any], key: str, trap: Trap, tmp_path: Path) -> None:
    values = value = {}  # type: dict[str, Any]
    *outer, last = key.split(".")
    for name in outer:
        value[name] = value = {}
    value[last] = _aimed(given, trap)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UsageError, match=r"config\.yaml: "):
        read_config(tmp_path / "config.yaml")
    assert _usage_error("train", "--config", str(tmp_path / "config.yaml"), "--quiet")


@pytest.mark.parametrize("given", CLASSES[::4], ids="+".join)
def test_class_paths_in_options(given: dict[str, Any], trap: Trap, tmp_path: Path) -> None:
    text = json.dumps(_aimed(given, trap))
    for words in (
        ["train", "--training.schedule", text],
        ["train", "--trainer", text],
        ["train", "--config", text],
        ["evaluate", "--data", str(tmp_path), "--map", text],
        ["localize", str(tmp_path), "--output", str(tmp_path / "found"), "--threshold", text],
    ):
        assert _usage_error(*words), words
    for words in (
        ["train", "--data", text, "--quiet"],
        ["localize", str(tmp_path), "--output", str(tmp_path / "found"), "--backbone", text],
        ["evaluate", text, "--data", str(tmp_path)],
    ):
        assert main(words) == 1, words


@classes
def test_class_paths_in_json(given: dict[str, Any], trap: Trap, tmp_path: Path) -> None:
    """In a result, a journal, a COCO file and the header of trained weights it is a wrong value."""
    aimed = _aimed(given, trap)
    make_result().save(tmp_path)
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    for changed in (aimed, result | aimed, result | {"protocol": aimed}, result | {"name": aimed}):
        (tmp_path / "result.json").write_text(json.dumps(changed))
        with pytest.raises(DataError, match=r"result\.json: "):
            load_result(tmp_path)
    for line in (aimed, {"path": "a", "stamp": [1, 2], "result": aimed}, {"path": aimed, "skipped": "x"}):
        (tmp_path / "results.jsonl").write_text(json.dumps(line) + "\n")
        with pytest.raises(WsolError, match="line 1 is no result"):
            Journal(tmp_path / "results.jsonl")
    for header in (aimed, {"format": 1} | aimed, {"format": 1, "backbone": aimed, "method": aimed}):
        save_file({"x": torch.ones(1)}, tmp_path / "a.safetensors", metadata={"wsol": json.dumps(header)})
        with pytest.raises(ModelError, match="its description is damaged"):
            wsol.load(str(tmp_path / "a.safetensors"))
    coco = {"categories": [aimed], "images": [aimed], "annotations": [aimed]}
    (tmp_path / "val.json").write_text(json.dumps(coco))
    with pytest.raises(DataError, match=r"val\.json, categories\[0\]"):
        open_data(tmp_path / "val.json")


def test_a_description_fetches_nothing_else(trap: Trap, tmp_path: Path) -> None:
    """A header may name a network of timm: no folder, no hub, no other file that is a pickle."""
    path = tmp_path / "a.safetensors"
    options = ModelOptions(backbone="test_resnet", input_size=64)
    saved.save(path, build(options, pretrained=False, num_classes=2), options, MethodOptions())
    evil = tmp_path / "evil.pth"
    evil.write_bytes(_tensors({"x": trap}))
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_resnet", "num_classes": 2}))
    shutil.copy(evil, tmp_path / "pytorch_model.bin")
    whole = saved._header(path)
    for backbone, message in (
        ({"backbone": f"local-dir:{tmp_path}"}, "there is no run, file or model"),
        ({"backbone": "hf-hub:someone/model"}, "there is no"),
        ({"backbone": str(evil)}, "there is no run, file or model"),
        ({"backbone": "test_resnet", "checkpoint": str(evil)}, "it names other files"),
        ({"backbone": "test_resnet", "classes": str(evil)}, "it names other files"),
    ):
        description = json.dumps(whole | {"backbone": backbone})
        save_file(saved._tensors(path), tmp_path / "b.safetensors", metadata={"wsol": description})
        with pytest.raises(ModelError, match=message):
            wsol.load(str(tmp_path / "b.safetensors"))


SECRET = "the words of another file"
ENTITIES = {
    "billion laughs": '<!DOCTYPE a [<!ENTITY b0 "ha">'
    + "".join(f'<!ENTITY b{n} "{10 * f"&b{n - 1};"}">' for n in range(1, 12))
    + "]><annotation><filename>a.jpg</filename><object><name>&b11;</name></object></annotation>",
    "quadratic": f'<!DOCTYPE a [<!ENTITY b "{"x" * 50_000}">]><annotation>{"&b;" * 50_000}</annotation>',
    "another file": '<!DOCTYPE a [<!ENTITY b SYSTEM "file://{secret}">]>'
    "<annotation><filename>a.jpg</filename><object><name>&b;</name></object></annotation>",
    "a parameter": '<!DOCTYPE a [<!ENTITY % b SYSTEM "file://{secret}"> %b;]><annotation/>',
}


@pytest.mark.parametrize("content", ENTITIES.values(), ids=list(ENTITIES))
def test_entities_of_xml(content: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text(SECRET)
    content = content.replace("{secret}", str(tmp_path / "secret.txt"))
    good = "<annotation><filename>b.jpg</filename><object><name>ant</name></object></annotation>"
    data = open_data(write(tmp_path, {"Annotations/a.xml": content, "Annotations/b.xml": good}))
    split = data.split("test")
    assert data.classes == ("ant",)
    assert [example.id for example in split.examples] == ["b.jpg"]
    (problem,) = split.problems
    assert str(problem).startswith("Annotations/a.xml: refused: EntitiesForbidden")
    assert SECRET not in repr((data, split))


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE annotation SYSTEM "file://{secret}">{annotation}',
        '<?xml-stylesheet href="file://{secret}"?>{annotation}',
        '<annotation xmlns:xi="http://www.w3.org/2001/XInclude"><filename>a.jpg</filename><object><name>ant</name>'
        '</object><label><xi:include href="file://{secret}" parse="text"/></label></annotation>',
    ],
)
def test_other_files_that_xml_names(content: str, tmp_path: Path) -> None:
    """These may stand there; nobody follows them."""
    (tmp_path / "secret.txt").write_text(SECRET)
    annotation = "<annotation><filename>a.jpg</filename><object><name>ant</name></object></annotation>"
    content = content.replace("{secret}", str(tmp_path / "secret.txt")).replace("{annotation}", annotation)
    data = open_data(write(tmp_path, {"Annotations/a.xml": content}))
    assert data.classes == ("ant",)
    assert SECRET not in repr((data, data.split("test")))


@pytest.mark.parametrize("name", ["../../sprung", "/{}/sprung", "a/../../sprung", "..\\sprung", "C:/sprung"])
def test_tables_name_nothing_outside_their_folder(name: str, tmp_path: Path) -> None:
    folder, name = tmp_path / "data", name.format(tmp_path)
    official(folder, "val", image_ids=f"a.jpg\n{name}\n", class_labels=f"a.jpg,0\n{name},0\n",
             localization=f"a.jpg,0,0,9,9\n{name},0,0,9,9\n")  # fmt: skip
    split = open_data(folder).split("val")
    assert [example.id for example in split.examples] == ["a.jpg"]
    assert any(word in str(split.problems[0]) for word in ("climbs out", "absolute", "backslash"))


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_are_not_read(kind: str, trap: Trap, tmp_path: Path) -> None:
    """A data set in one is refused before a name in it could lead anywhere."""
    path = tmp_path / f"data.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../sprung", "x")
    else:
        path.write_bytes(_tar(trap))
    with pytest.raises(DataError, match=r"a file must be COCO \(\.json\) or a manifest \(\.csv\)"):
        open_data(path)
    for disguised, message in (
        ("data.json", "not UTF-8|not JSON"),
        ("data.csv", "not UTF-8|no column|not CSV"),
    ):
        shutil.copy(path, tmp_path / disguised)
        with pytest.raises(DataError, match=message):
            open_data(tmp_path / disguised)


DANGEROUS = {
    "eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "marshal.load", "marshal.loads", "shelve.open", "joblib.load", "yaml.load", "yaml.load_all",
    "yaml.full_load", "yaml.unsafe_load", "os.system", "os.popen", "os.execv", "zipfile.ZipFile",
    "tarfile.open", "shutil.unpack_archive", "torch.hub.load", "torch.jit.load", "pd.read_pickle",
    "archive.extractall", "archive.extract", "runpy.run_path",
    "ElementTree.fromstring", "ElementTree.parse", "ElementTree.iterparse",
}  # fmt: skip
SAFE_WITH = {"np.load": "allow_pickle=False", "torch.load": "weights_only=True"}
KNOWN = {("report/svg.py", "ElementTree.fromstring"), ("bulk/items.py", "tarfile.open")}
"""XML that Matplotlib has drawn a moment before, any other is read by defusedxml; and archives of images,
which are read as a stream and never unpacked (tests/bulk/test_items.py)."""


def test_no_call_could_run_what_it_reads() -> None:
    """By the source: what is not tried above has no way to load code, and unpacks no archive."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func)
            arguments = [ast.unparse(word) for word in call.keywords]
            safe = SAFE_WITH.get(called, "") in ["", *arguments]
            if called in DANGEROUS or not safe or "shell=True" in arguments:
                found.add((name, called))
    assert found == KNOWN
