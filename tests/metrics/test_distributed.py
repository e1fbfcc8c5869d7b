"""Several processes give what one process gives, whoever saw how many images."""

import warnings
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from tests.metrics.samples import images
from wsol.metrics import BoxAccuracy, PixelAveragePrecision, TopKAccuracy

SHARES: dict[int, dict[str, list[list[int]]]] = {
    2: {"uneven": [[3, 1], [2]], "the last saw nothing": [[2, 4], []], "the first saw nothing": [[], [6]]},
    4: {"uneven": [[2], [1, 1], [1], [1]], "two saw nothing": [[], [4], [], [1, 1]]},
}
"""By the number of processes, sizes of the batches that each of them sees."""


class _Metrics:
    def __init__(self) -> None:
        self.all = BoxAccuracy("all", (0.1, 0.3), step=0.01)
        self.largest = BoxAccuracy("largest", (0.3, 0.5, 0.7), step=0.01, percentile=90)
        self.pixels = PixelAveragePrecision(step=0.01)
        self.classes = TopKAccuracy()

    def update(self, part: slice) -> None:
        maps, boxes = images(seed=5, count=6)
        rank, masks = torch.arange(6), maps.roll(2, dims=1) > 0.5
        self.all.update(maps[part], boxes[part], rank[part])
        self.largest.update(maps[part], boxes[part], rank[part])
        self.pixels.update(maps[part], masks[part], ignore=maps[part].roll(3, dims=2) > 0.9)
        self.classes.update(rank[part])

    def results(self) -> dict[str, Tensor]:
        return {
            **self.all.compute(),
            **self.largest.compute(),
            **self.classes.compute(),
            "PxAP": self.pixels.compute(),
            "curves": self.all.curves(topk=3),
            "hits": self.all.hits(0.3),
            "every hit": self.largest.sweep_hits(topk=4),
            "at the best": self.largest.at(self.largest.best_ratios()),
            "of others": self.all.reindexed(iou_thresholds=(0.2,), percentile=80).curves(),
        }


def _work(process: int, folder: Path, world: int) -> None:
    warnings.filterwarnings("error", message="The ``compute`` method")  # to see no image is no mistake here
    meeting = f"file://{folder / 'meeting'}"
    dist.init_process_group("gloo", meeting, timedelta(minutes=2), rank=process, world_size=world)
    try:
        for name, shares in SHARES[world].items():
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


def _child(number: int, folder: Path, world: int) -> None:
    torch.set_num_threads(1)
    _work(1 + number, folder, world)


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.endurance)])
def test_several_processes_agree_with_one(tmp_path: Path, world: int) -> None:
    child = spawn(_child, (tmp_path, world), nprocs=world - 1, join=False)  # type: ignore[no-untyped-call]
    _work(0, tmp_path, world)
    child.join()
    metrics = _Metrics()
    metrics.update(slice(None))
    expected = metrics.results()
    for name, shares in SHARES[world].items():
        assert sum(map(sum, shares)) == 6 and len(shares) == world
        for process in range(world):
            found, again = torch.load(tmp_path / f"{name} {process}.pt")
            assert found.keys() == expected.keys()
            for key, value in expected.items():
                assert torch.equal(found[key], value), (name, process, key)
            assert torch.equal(again, expected["hits"])
    assert len(set(expected["curves"].flatten().tolist())) > 2 and 0 < expected["PxAP"] < 1
    assert expected["every hit"].any() and not expected["every hit"].all()
