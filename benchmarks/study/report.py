"""Write the tables of the study: ``python -m benchmarks.study.report DATA [DATA …]`` prints Markdown."""

import argparse
from pathlib import Path

from benchmarks.study.diagnose import summary
from benchmarks.study.grid import CAM_USUAL, DEFAULT, LEAD, OTHERS, SEARCH, SEEDS
from benchmarks.study.tables import Row, limits, table
from wsol.export.files import atomic_write
from wsol.inference.options import USUAL_RATIOS
from wsol.methods import METHODS
from wsol.methods.bridging import ALIGNED_RATIOS

HEADING = "## Tables"

ROWS = (
    Row("CAM (baseline)", "cam"),
    Row("CAM + NWC", "cam", "nwc"),
    Row("CAM + PaS", "cam", "cam", 90),
    Row("CAM + NWC + PaS", "cam", "nwc", 90),
    Row("TAP", "tap"),
    Row("TAP + NWC + PaS (Rethinking CAM)", "tap", "nwc", 90),
    Row("Bridging without similarity loss", "bridging-without-similarity"),
    Row("Bridging without norm loss", "bridging-without-norm"),
    Row("Bridging without consistency loss", "bridging-without-drop"),
    Row("Bridging the Gap", "bridging"),
    Row("Bridging, similarity loss alone, weight 8", LEAD.name),
    Row("the same + NWC + PaS", LEAD.name, "nwc", 90),
    Row("CAM, 8 epochs", CAM_USUAL.name),
    Row("Bridging by default: similarity loss alone, 8 epochs", DEFAULT.name),
    Row("Bridging + TAP + NWC + PaS", "bridging-tap", "nwc", 90),
    *(
        row
        for training in OTHERS
        for row in (
            Row(METHODS[training.name].title, training.name),
            Row(f"{METHODS[training.name].title} + NWC + PaS", training.name, "nwc", 90),
        )
    ),
    Row("F alone", "cam", "norm"),
    Row("S alone", "cam", "similarity"),
)

FREE = (
    Row("CAM (baseline)", "cam"),
    *(
        Row(title, "cam", maps)
        for title, maps in {
            "mirrored too": "flip",
            "at twice the size": "scale-2",
            "at one and two sizes": "scales-1-2",
            "at one and two sizes, mirrored too": "scales-1-2-flip",
            "a quarter of F": "norm-0.25",
            "half of F": "norm-0.5",
            "GrabCut": "grabcut",
            "stride 16": "stride-16",
            "stride 8": "stride-8",
        }.items()
    ),
    Row("NWC", "cam", "nwc"),
    Row("PaS", "cam", "cam", 90),
    Row("balanced, with PaS", "cam", "balanced", 90),
    Row("best, with NWC", "cam", "best-nwc"),
    Row("best, with PaS", "cam", "best", 90),
    Row("**balanced**: two sizes, mirrored, a quarter of F", "cam", "balanced"),
    Row("**best**: balanced and GrabCut", "cam", "best"),
)

TOGETHER = (
    Row("CAM (baseline)", "cam"),
    Row("CAM, balanced", "cam", "balanced"),
    Row("CAM, best", "cam", "best"),
    Row("Bridging the Gap, best", "bridging", "best"),
    Row("Similarity loss alone, balanced", LEAD.name, "balanced"),
    Row("Similarity loss alone, best", LEAD.name, "best"),
    Row("Similarity loss alone, best, with PaS", LEAD.name, "best", 90),
    Row("Bridging by default, balanced", DEFAULT.name, "balanced"),
    Row("Bridging by default, best", DEFAULT.name, "best"),
)

RATIOS = {
    CAM_USUAL.name: {"fast": 0.2} | {preset: USUAL_RATIOS[preset, "max"] for preset in ("balanced", "best")},
    DEFAULT.name: {"fast": 0.2} | ALIGNED_RATIOS,
}
LABELS = tuple(
    Row(f"{told}, {preset}, τ {ratio:g}", training, "cam" if preset == "fast" else preset, ratio=ratio)
    for told, training in (("CAM", CAM_USUAL.name), ("Bridging by default", DEFAULT.name))
    for preset, ratio in RATIOS[training].items()
)
"""Where no image has a box: τ is what ``wsol localize`` takes then."""

SAME = tuple(
    (
        Row(f"CAM, {preset} (baseline)", CAM_USUAL.name, maps),
        Row(f"Bridging by default, {preset}", DEFAULT.name, maps),
    )
    for preset, maps in (("fast", "cam"), ("balanced", "balanced"), ("best", "best"))
)
"""Of one length, 8 epochs, and the same preset."""

LIMITED = (TOGETHER[0], TOGETHER[2], Row("Similarity loss alone, best", LEAD.name, "best"))

IMAGENET = tuple(
    Row(f"ImageNet classifier, {told}", "efficientnet_lite0", maps)
    for told, maps in (("CAM", "cam"), ("NWC", "nwc"), ("balanced", "balanced"), ("best", "best"))
)
"""It knows other classes: its maps are of the class that it predicts, so GT-known is Loc there."""

CENTRE = (Row("centred square", "centre", "square"), Row("centred Gaussian", "centre", "disc"))


def write(sets: list[str], work: Path) -> str:
    """All tables, as Markdown."""
    parts = []
    for data in sets:
        parts += [f"### {data}", ""]
        for title, rows, split, seeds in (
            ("Pieces and methods", ROWS, "test", SEEDS),
            ("Presets and their parts", FREE, "val", SEEDS),
            ("Presets", (FREE[0], *FREE[-2:]), "test", SEEDS),
            ("Trained, with the preset best", TOGETHER, "test", SEEDS),
            *(("Both in 8 epochs and with the same preset", same, "test", SEEDS) for same in SAME),
            ("Labels alone, 8 epochs: no image has a box, τ is the usual one", LABELS, "test", SEEDS),
            ("Never trained on this set: maps of the predicted ImageNet class", IMAGENET, "test", ()),
            ("The middle of the picture", CENTRE, "test", ()),
            (
                "Search, one seed",
                (ROWS[0], *(Row(each.name, each.name) for each in SEARCH)),
                "val",
                (0,),
            ),
        ):
            parts += [f"**{title}**", "", table(work, data, rows, split=split, seeds=seeds), ""]
        told = limits(work, data, LIMITED, seeds=SEEDS)
        parts += ["**What a threshold could reach (GT-known at IoU 0.5, 0.7)**", "", told, ""]
        parts += ["**Diagnostics**", "", summary(work, data), ""]
    return "\n".join(parts)


def main() -> None:
    """Print the tables of what is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study.report", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="folders of the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/study"))
    parser.add_argument("--page", type=Path, help=f"a file whose part after '{HEADING}' they replace")
    asked = parser.parse_args()
    tables = write([data.name for data in asked.data], asked.work)
    if asked.page is None:
        print(tables)
    else:
        before = asked.page.read_text(encoding="utf-8").split(HEADING)[0]
        with atomic_write(asked.page) as temporary:
            temporary.write_text(f"{before}{HEADING}\n\n{tables}", encoding="utf-8")


if __name__ == "__main__":
    main()
