"""Runs on a small cluster on this machine: as the local engine, resumed, with whatever is bad in between."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import ray

from tests.bulk.sets import write_bytes, write_paths, write_tar
from wsol import Localizer, LocalizerOptions, RuntimeOptions, WsolError
from wsol.bulk.options import RayOptions
from wsol.bulk.pipeline import Job, _actors, _check_reachable, _gathered, _Planned, localize_shards
from wsol.bulk.plan import Plan, write_plan
from wsol.bulk.run import BulkSummary, localize_bulk
from wsol.cli import main
from wsol.data.images import find_images
from wsol.inference.run import localize_files
from wsol.models import Model, ModelOptions

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::ResourceWarning")
FAST = LocalizerOptions(preset="fast", boxes="all", top_k=2)
RUNTIME = RuntimeOptions(device="cpu", batch_size=2)


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")  # what else runs on the machine kills no worker
        ray.init("local", num_cpus=2, log_to_driver=False, include_dashboard=False, object_store_memory=2**27)
        yield
        ray.shutdown()


Local = Callable[[Path], dict[str, Any]]


@pytest.fixture
def local(model: Model, checkpoint: ModelOptions, tmp_path: Path) -> Local:
    """COCO annotations of the local engine, by image."""

    def run(photos: Path) -> dict[str, Any]:
        localizer = Localizer(model, FAST, RuntimeOptions(device="cpu", batch_size=2, workers=0))
        localize_files(localizer, checkpoint, [photos], tmp_path / "local", progress=False)
        return _annotations([tmp_path / "local" / "coco.json"])

    return run


def _annotations(files: list[Path]) -> dict[str, Any]:
    """What was found in each image, without ids."""
    found: dict[str, Any] = {}
    for file in files:
        data = json.loads(file.read_text(encoding="utf-8"))
        names = {image["id"]: image["file_name"] for image in data["images"]}
        found |= {name: [] for name in names.values()}
        for annotation in data["annotations"]:
            rest = {key: value for key, value in annotation.items() if key not in ("id", "image_id")}
            found[names[annotation["image_id"]]].append(rest)
    return found


def _run(model: Model, checkpoint: ModelOptions, output: Path, *paths: object, **more: Any) -> BulkSummary:
    chosen: dict[str, Any] = {"options": FAST, "runtime": RUNTIME, "bulk": RayOptions(shard_size=2)}
    asked = [str(path) for path in paths]
    return localize_bulk(model, checkpoint, asked, str(output), progress=False, **chosen | more)


def test_box_for_box_as_the_local_engine(
    local: Local, model: Model, checkpoint: ModelOptions, photos: Path, tmp_path: Path
) -> None:
    for name, damage in (("bad.png", b"no picture"), ("cut.png", (photos / "0.png").read_bytes()[:100])):
        (photos / name).write_bytes(damage)
    expected = local(photos)
    summary = _run(model, checkpoint, tmp_path / "out", photos, bulk=RayOptions(shard_size=4))
    assert (summary.images, summary.skipped, summary.shards, summary.done) == (8, 2, 2, 8)
    assert {Path(path).name for path, _ in summary.examples} == {"bad.png", "cut.png"}
    assert (tmp_path / "out" / "skipped.csv").read_text().count("\n") == 3
    files = sorted((tmp_path / "out" / "coco").iterdir())
    assert len(files) == 2
    assert _annotations(files) == expected
    assert sum(map(len, expected.values())) > 6
    rows = pq.read_table(tmp_path / "out" / "boxes").to_pylist()
    assert len(rows) == 6 * 2 + 2
    assert all((row["error"] is None) == (row["boxes"] is not None) for row in rows)


def test_tables_and_archives_give_the_same(
    local: Local, model: Model, checkpoint: ModelOptions, photos: Path, tmp_path: Path
) -> None:
    pictures = find_images([photos])[0]
    archive = write_tar(tmp_path / "a.tar", pictures)
    paths = write_paths(photos / "list.csv", pictures)
    table = write_bytes(tmp_path / "t.parquet", pictures, rows_a_group=2)
    _run(model, checkpoint, tmp_path / "out", archive, paths, table)
    found = _annotations(sorted((tmp_path / "out" / "coco").iterdir()))
    assert len(found) == 3 * 6
    for name, expected in local(photos).items():
        flat = Path(name).name
        assert found[f"a.tar/{flat}"] == found[f"photos/{name}"] == found[f"t.parquet/{flat}"] == expected


def test_a_run_goes_on_at_the_shards_that_are_not_written(
    model: Model, checkpoint: ModelOptions, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(WsolError, match=r"no images in .*nothing"):
        _run(model, checkpoint, Path("out"), tmp_path / "nothing", bulk=RayOptions(shard_size=9))
    whole = _run(model, checkpoint, Path("out"), photos)  # relative, and after a plan that failed
    (tmp_path / "out" / "boxes" / ".0a1b.tmp").touch()  # of a driver that was killed
    tables = sorted((tmp_path / "out" / "boxes").glob("*.parquet"))
    before = [table.read_bytes() for table in tables]
    tables[1].unlink()
    (photos / "later.png").write_bytes((photos / "0.png").read_bytes())  # not in the plan
    again = _run(model, checkpoint, tmp_path / "out", photos)
    assert (again.resumed, again.done, again.images) == (2, 2, whole.images)
    assert [table.read_bytes() for table in tables] == before
    done = _run(model, checkpoint, tmp_path / "out", photos)
    assert (done.resumed, done.done) == (3, 0)
    with pytest.raises(WsolError, match=r"other settings .*shard_size: 2 -> 3"):
        _run(model, checkpoint, tmp_path / "out", photos, bulk=RayOptions(shard_size=3))
    anew = _run(model, checkpoint, tmp_path / "out", photos, overwrite=True)
    assert (anew.resumed, anew.images) == (0, 7)


def test_the_command(
    checkpoint: ModelOptions, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checkpoint.checkpoint is not None and checkpoint.classes is not None
    command = [
        *("localize", str(photos), "--engine", "ray", "--output", str(tmp_path / "out")),
        *("--model", "resnet18"),
        *("--checkpoint", checkpoint.checkpoint, "--classes", checkpoint.classes, "--input-size", "96"),
        *("--device", "cpu", "--preset", "fast", "--shard-size", "4", "--batch-size", "2", "--label", "cat"),
    ]
    (photos / "bad.png").touch()
    assert main(command) == 3
    told = capsys.readouterr()
    assert "7 images done now" in told.out and "0 of 2 shards were written before" in told.out
    assert f"Skipped, 1 in all, listed in {tmp_path}/out/skipped.csv:" in told.err
    assert f"  {photos}/bad.png: the file is empty" in told.err
    labels = {row["label"] for row in pq.read_table(tmp_path / "out" / "boxes").to_pylist()}
    assert labels == {"cat", None}
    shutil.rmtree(tmp_path / "out" / "boxes")
    (tmp_path / "out" / "run.json").unlink()
    assert main(command) == 1
    assert "is there already, and not from a run of wsol" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "ray", "--format", "yolo", "report"], "writes Parquet and COCO, not report, yolo"),
        (["--engine", "ray", "--workers", "2"], "workers are for --engine local"),
        (["--shard-size", "5"], "actors, shard_size and column are for --engine ray"),
        (["--engine", "ray", "--actors", "0"], "actors must be at least 1, got 0"),
    ],
)
def test_options_that_do_not_go_together(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["localize", str(tmp_path), "--output", str(tmp_path / "out"), *options]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["images.tar", "list.csv", "s3://bucket/photos"])
def test_what_the_local_engine_does_not_read(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["localize", path, "--output", str(tmp_path / "out")]) == 2
    assert f"{path} is for --engine ray, which reads tables, archives and" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_goes_on_with_the_engine_that_began_it(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for began, other in (("local", "ray"), ("ray", "local")):
        output = tmp_path / began
        output.mkdir()
        (output / "run.json").write_text(json.dumps({"engine": began, "settings": {}, "formats": []}))
        assert main(["localize", str(photos), "--output", str(output), "--engine", other]) == 1
        assert f"is of --engine {began}, which goes on with it" in capsys.readouterr().err
        command = ["localize", str(photos), "--output", str(output), "--engine", other, "--overwrite"]
        assert main(command) == 1 and f"is of --engine {began}" in capsys.readouterr().err


def test_a_cluster_that_does_not_answer_is_told_at_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(WsolError, match=rf"no cluster at RAY_ADDRESS={address}: Connection refused"):
        _check_reachable(address)
    with pytest.raises(WsolError, match=r"no cluster at RAY_ADDRESS=ray://\[::1\]:99999: "):
        _check_reachable("ray://[::1]:99999")
    for chosen_by_ray in ("", "auto", "local"):
        _check_reachable(chosen_by_ray)


def test_a_network_that_fails_ends_the_run_with_its_reason(
    model: Model, checkpoint: ModelOptions, photos: Path, tmp_path: Path
) -> None:
    runtime = RuntimeOptions(device="cpu", batch_size=2, precision="float16")
    with pytest.raises(WsolError, match="float16 needs a GPU"):
        _run(model, checkpoint, tmp_path / "out", photos, runtime=runtime)
    plan = tmp_path / "out" / "plan.parquet"
    totals = Plan(str(plan)).totals
    plan.unlink()
    write_plan(str(plan), [str(photos)], shard_size=6, column=None)  # shards that it has not
    assert totals.shards == 3
    with pytest.raises(WsolError, match=r"the cluster failed \(ArrowInvalid: .*row_group"):
        next(localize_shards(Job(model, FAST, RUNTIME, None, None, None), str(plan), [7]))
    assert not list((tmp_path / "out").glob("boxes/*"))
    assert os.listdir(tmp_path / "out")  # noqa: PTH208 - the plan, to go on with


def test_shards_come_as_soon_as_they_are_whole() -> None:
    order = [(1, 1), (0, 0), (1, 0), (0, 2), (0, 1), (2, 0)]
    last = {(0, 2), (1, 1), (2, 0)}
    rows = [
        {"shard": shard, "chunk": chunk, "last": (shard, chunk) in last, "records": f'[{{"at": {chunk}}}]'}
        for shard, chunk in order
    ]
    assert list(_gathered(rows)) == [
        (1, [{"at": 0}, {"at": 1}]),
        (0, [{"at": 0}, {"at": 1}, {"at": 2}]),
        (2, [{"at": 0}]),
    ]


def test_chunks_that_ended_a_process_are_remembered(photos: Path, tmp_path: Path) -> None:
    write_plan(str(tmp_path / "plan.parquet"), [str(photos)], shard_size=6, column=None)
    planned = _Planned(str(tmp_path / "plan.parquet"))
    fatal, apart = {0, 2}, list[int]()
    for _ in range(4):
        for chunk in range(4):
            if planned.begins(0, chunk):
                apart.append(chunk)
            elif chunk in fatal:
                break
        else:
            break
    assert apart == [0, 0, 2]  # the second reading ends at 2, the third goes through


@pytest.mark.parametrize(
    ("device", "actors", "cores", "gpus", "expected"),
    [
        ("auto", None, 8, 0, ("cpu", 7, {"num_cpus": 0.5})),
        ("auto", None, 1, 0, ("cpu", 1, {"num_cpus": 0.5})),
        ("auto", None, 8, 4, ("cuda", 4, {"num_gpus": 1})),
        ("cuda:1", 2, 8, 4, ("cuda", 2, {"num_gpus": 1})),
        ("cpu", 3, 8, 4, ("cpu", 3, {"num_cpus": 0.5})),
    ],
)
def test_where_models_work(
    device: str,
    actors: int | None,
    cores: int,
    gpus: int,
    expected: tuple[str, int, dict[str, float]],
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": float(cores), "GPU": float(gpus)})
    runtime, resources = _actors(Job(model, FAST, RuntimeOptions(device=device), None, None, actors))
    pool = resources.pop("compute")
    assert (runtime.device, pool.max_size, resources) == expected


def test_gpus_that_are_not_there(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0})
    with pytest.raises(WsolError, match="no GPU; --actors tells how many it will have"):
        _actors(Job(model, FAST, RuntimeOptions(device="cuda"), None, None, None))
    with pytest.warns(UserWarning, match="has 0 GPUs now: 4 models wait"):
        _actors(Job(model, FAST, RuntimeOptions(device="cuda"), None, None, 4))
