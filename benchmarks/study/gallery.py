"""Best, median and worst photographs: ``python -m benchmarks.study.gallery DATA [DATA …]``.

The pictures are of the data's photographs, and stay with the runs.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

import wsol
from benchmarks.study.measure import MAPS, records_file
from benchmarks.study.tables import ratio_of
from wsol.data.dataset import open_data
from wsol.evaluation.protocol import FRAME
from wsol.evaluation.records import BoxRecords, load_records
from wsol.report.curves import plot_style
from wsol.report.examples import pick
from wsol.report.overlay import PALETTE

SHOWN = ("cam", "best")


def gallery(run: Path, data_folder: Path, records: Path, shown: int = 4) -> Figure:
    """Photographs of test by the IoU of the preset best, beside what the plain map finds.

    Args:
        run: its folder.
        data_folder: of the data set.
        records: folder of the run's records.
        shown: how many of the best, of those around the median, and of the worst.
    """
    data = open_data(str(data_folder))
    examples = data.split("test").examples
    kept: dict[str, BoxRecords] = {
        maps: load_records(records_file(records, maps, "test", "boxes"), "boxes")  # type: ignore[misc]
        for maps in SHOWN
    }
    ratios = {maps: ratio_of(records, maps) for maps in SHOWN}
    overlaps = {maps: kept[maps].overlaps_at(ratios[maps], 100) for maps in SHOWN}
    chosen = [(group, place) for group, places in pick(overlaps["best"], shown).items() for place in places]
    localizers = {maps: wsol.load(str(run), **MAPS[maps]) for maps in SHOWN}
    figure = Figure(figsize=(2 * shown * 2, 2.2 * 3), layout="constrained")
    panels = figure.subplots(3, 2 * shown)
    for axis in panels.flat:
        axis.set_axis_off()
    for axes, (group, place) in zip(panels.reshape(-1, 2), chosen, strict=False):  # of few images, fewer
        example = examples[place]
        with Image.open(data.images / example.id) as photo:
            picture = np.asarray(photo.convert("RGB").resize((FRAME, FRAME)))
        truth = kept["best"].true_boxes()[place]
        for axis, maps in zip(axes, SHOWN, strict=True):
            found = localizers[maps](data.images / example.id, label=int(example.label))
            map_ = found.map_at((FRAME, FRAME))  # type: ignore[union-attr]
            box = kept[maps].boxes_at(ratios[maps], 100)[place]
            _show(axis, picture, map_, box=box, truth=truth)
            axis.set_title(f"{group}: {maps} {overlaps[maps][place]:.2f}", fontsize=8)
    return figure


def _show(
    axis: Axes, picture: NDArray[np.uint8], map_: NDArray[np.float64], *,
    box: NDArray[np.int64], truth: NDArray[np.int64],
) -> None:  # fmt: skip
    axis.imshow(picture)
    axis.imshow(map_, cmap="jet", alpha=0.35, vmin=0, vmax=1)
    for x0, y0, x1, y1 in truth:
        axis.add_patch(Rectangle((x0, y0), x1 - x0 + 1, y1 - y0 + 1, fill=False, ec="white", lw=2))
    x0, y0, x1, y1 = box
    axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=PALETTE[0], lw=2))


def main() -> None:
    """Draw the gallery of the plain classifier, seed 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study.gallery", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="folders of the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/study"), help="folder of the runs")
    parser.add_argument("--run", default="cam-seed0", help="whose maps")
    asked = parser.parse_args()
    for folder in asked.data:
        records = asked.work / "records" / folder.name / asked.run
        with plot_style():
            figure = gallery(asked.work / folder.name / asked.run, folder, records)
            path = asked.work / f"gallery-{folder.name}.png"
            figure.savefig(path, dpi=90)
        print(path)


if __name__ == "__main__":
    main()
