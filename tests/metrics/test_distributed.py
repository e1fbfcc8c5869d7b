"""Several processes give what one process gives, whoever saw how many images."""

import warnings
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from tests.metrics.samples import images
from wsol.metrics import BoxAccuracy, PixelAveragePrecision, TopKAccuracy

SHARES = {"uneven": ([3, 1], [2]), "one saw nothing": ([2, 4], [])}
"""Sizes of the batches that each of two processes sees."""


class _Metrics:
    def __init__(self) -> None:
        self.boxes = BoxAccuracy("all", (0.1, 0.3), step=0.01)
        self.pixels = PixelAveragePrecision(step=0.01)
        self.classes = TopKAccuracy()

    def update(self, part: slice) -> None:
        maps, boxes = images(seed=5, count=6)
        rank, masks = torch.arange(6), maps.roll(2, dims=1) > 0.5
        self.boxes.update(maps[part], boxes[part], rank[part])
        self.pixels.update(maps[part], masks[part])
        self.classes.update(rank[part])

    def results(self) -> dict[str, Tensor]:
        return {
            **self.boxes.compute(),
            **self.classes.compute(),
            "PxAP": self.pixels.compute(),
            "curves": self.boxes.curves(topk=3),
            "hits": self.boxes.hits(0.3),
        }


def _work(process: int, folder: Path) -> None:
    warnings.filterwarnings("error", message="The ``compute`` method")  # to see no image is no mistake here
    meeting = f"file://{folder / 'meeting'}"
    dist.init_process_group("gloo", meeting, timedelta(minutes=1), rank=process, world_size=2)
    try:
        for name, shares in SHARES.items():
            metrics = _Metrics()
            start = sum(sum(share) for share in shares[:process])
            for size in shares[process]:
                metrics.update(slice(start, start + size))
                start += size
            first = metrics.results()
            again = metrics.results()["hits"]  # gathering does not add up
            torch.save([first, again], folder / f"{name} {process}.pt")
    finally:
        dist.destroy_process_group()


def _child(_: int, folder: Path) -> None:
    torch.set_num_threads(1)
    _work(1, folder)


def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    child = spawn(_child, (tmp_path,), nprocs=1, join=False)  # type: ignore[no-untyped-call]
    _work(0, tmp_path)
    child.join()
    metrics = _Metrics()
    metrics.update(slice(None))
    expected = metrics.results()
    for name in SHARES:
        for process in (0, 1):
            found, again = torch.load(tmp_path / f"{name} {process}.pt")
            assert found.keys() == expected.keys()
            for key, value in expected.items():
                assert torch.equal(found[key], value), (name, process, key)
            assert torch.equal(again, expected["hits"])
    assert all(sum(map(sum, shares)) == 6 for shares in SHARES.values())
    assert len(set(expected["curves"].flatten().tolist())) > 2 and 0 < expected["PxAP"] < 1
