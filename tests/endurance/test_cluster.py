"""Bulk work on several nodes on this machine, while workers, a node, or the driver are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import ray
from ray.cluster_utils import Cluster

from tests.inference.conftest import checkpoint, model, photos
from wsol import LocalizerOptions, RuntimeOptions
from wsol.bulk.options import RayOptions
from wsol.bulk.run import BulkSummary, localize_bulk
from wsol.models import Model, ModelOptions

__all__ = ["checkpoint", "model", "photos"]

pytestmark = [
    pytest.mark.endurance,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::ResourceWarning"),
]
IMAGES = 600
PATIENCE = 300
"""Seconds after which a run that does not go on has hung."""

ENVIRONMENT = os.environ | {"RAY_memory_monitor_refresh_ms": "0", "RAY_ADDRESS": "local"}
KILLER = """
import os, signal
from PIL import Image
plain = Image.open
def fatal(file, *more, **options):
    if str(file).endswith("killer.png"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return plain(file, *more, **options)
Image.open = fatal
"""
Rows = list[dict[str, Any]]


@pytest.fixture
def many(photos: Path) -> Path:
    """Many pictures, one of them damaged."""
    pictures = sorted(photos.rglob("*.png"))
    for number in range(len(pictures), IMAGES - 1):
        (photos / f"{number}.png").hardlink_to(pictures[number % len(pictures)])
    (photos / "bad.png").write_bytes(b"no picture")
    return photos


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three nodes of one core each; this process is the driver, on the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        nodes = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "object_store_memory": 2**27, "include_dashboard": False},
        )
        for _ in range(2):
            nodes.add_node(num_cpus=1, object_store_memory=2**27)
        ray.init(address=nodes.address, log_to_driver=False)
        yield nodes
        ray.shutdown()
        nodes.shutdown()  # type: ignore[no-untyped-call]


def _run(model: Model, checkpoint: ModelOptions, photos: Path, output: Path) -> BulkSummary:
    return localize_bulk(
        model,
        checkpoint,
        [str(photos)],
        str(output),
        options=LocalizerOptions(preset="fast"),
        runtime=RuntimeOptions(device="cpu", batch_size=4),
        bulk=RayOptions(shard_size=20),
        progress=False,
    )


def _command(checkpoint: ModelOptions, photos: Path) -> list[str]:
    """The same from the command line, on a cluster of its own."""
    assert checkpoint.checkpoint is not None and checkpoint.classes is not None
    return [
        *(sys.executable, "-m", "wsol", "localize", str(photos), "--engine", "ray", "--model", "resnet18"),
        *("--checkpoint", checkpoint.checkpoint, "--classes", checkpoint.classes, "--input-size", "96"),
        *("--device", "cpu", "--preset", "fast", "--shard-size", "20", "--batch-size", "4"),
    ]


def _rows(output: Path) -> Rows:
    rows: Rows = pq.read_table(output / "boxes").to_pylist()
    return rows


def _once(output: Path, shards: int, act: Callable[[], object]) -> threading.Thread:
    """Act, beside what goes on, when so many shards are written."""

    def wait() -> None:
        _wait(output, shards)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def _wait(output: Path, shards: int) -> None:
    end = time.monotonic() + PATIENCE
    while len(list(output.glob("boxes/*.parquet"))) < shards:
        assert time.monotonic() < end, "nothing was written"
        time.sleep(0.02)


def _kill_one(name: str) -> int:
    """As soon as there is one: reading may be over before the first shard is written."""
    end = time.monotonic() + PATIENCE
    while not (count := _kill(name)) and time.monotonic() < end:
        time.sleep(0.02)
    return count


def _kill(name: str) -> int:
    """Kill the newest worker of ours whose task is called so; how many there were."""
    found, parents = [], dict[int, int]()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if (entry / "cmdline").read_bytes().startswith(f"ray::{name}".encode()):
                found.append(int(entry.name))
        except OSError:  # it has ended
            continue
    found = [
        process for process in found if parents.get(parents[process]) == os.getpid()
    ]  # of a node of ours
    for process in sorted(found)[-1:]:
        os.kill(process, signal.SIGKILL)
    return len(found)


def test_workers_and_a_node_die(
    cluster: Cluster, model: Model, checkpoint: ModelOptions, many: Path, tmp_path: Path
) -> None:
    whole = _run(model, checkpoint, many, tmp_path / "whole")
    assert (whole.images, whole.skipped, whole.shards) == (IMAGES, 1, IMAGES // 20)
    expected = _rows(tmp_path / "whole")
    assert len({row["image"] for row in expected}) == len(expected) == IMAGES
    killed: list[int] = []
    for name, shards in (("MapWorker(MapBatches(_Localize", 3), ("FlatMap(_Read", 0)):
        output = tmp_path / name.partition("(")[0]
        thread = _once(output, shards, lambda name=name: killed.append(_kill_one(name)))  # type: ignore[misc]
        _run(model, checkpoint, many, output)
        thread.join()
        assert _rows(output) == expected
    assert all(killed), "no worker was there to be killed"
    lost = next(iter(cluster.worker_nodes))
    thread = _once(tmp_path / "node", 3, lambda: cluster.remove_node(lost, allow_graceful=False))
    _run(model, checkpoint, many, tmp_path / "node")
    thread.join()
    assert len(cluster.list_all_nodes()) == 2  # type: ignore[no-untyped-call]
    assert _rows(tmp_path / "node") == expected


def test_an_image_that_kills_its_decoder(checkpoint: ModelOptions, many: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(KILLER, encoding="utf-8")
    (many / "killer.png").hardlink_to(many / "0.png")
    environment = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *sys.path])}
    ended = subprocess.run(
        [*_command(checkpoint, many), "--output", str(tmp_path / "out")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ended.returncode == 3, ended.stderr
    rows = {Path(row["image"]).name: row for row in _rows(tmp_path / "out")}
    assert len(rows) == IMAGES + 1
    assert {name for name, row in rows.items() if row["error"]} == {"bad.png", "killer.png"}
    assert rows["killer.png"]["error"] == "its decoding ended the process"


def test_the_driver_dies(checkpoint: ModelOptions, many: Path, tmp_path: Path) -> None:
    command = _command(checkpoint, many)
    output = tmp_path / "out"
    for shards in (2, 9, 17):
        driver = subprocess.Popen([*command, "--output", str(output)], env=ENVIRONMENT)
        _wait(output, shards)
        driver.kill()
        driver.wait()
        assert pq.read_table(output / "boxes").num_rows == 20 * len(list(output.glob("boxes/*.parquet")))
    assert not (output / "skipped.csv").exists()
    told = []
    for target in (output, tmp_path / "whole"):
        ended = subprocess.run(
            [*command, "--output", str(target)], env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 3, ended.stderr
        told.append(ended.stdout)
    assert "; 0 of 30 shards were written before" not in told[0]
    assert "600 images done now" in told[1]
    assert _rows(output) == _rows(tmp_path / "whole")
    assert (output / "skipped.csv").read_text() == (tmp_path / "whole" / "skipped.csv").read_text()
