"""Results as files for other tools: python examples/write_formats.py."""

from pathlib import Path

import wsol
from wsol.data.samples import sample_photographs
from wsol.export import FORMATS

photographs = sample_photographs()
localizer = wsol.load("efficientnet_lite0", preset="fast")
results = [
    result for _, result in localizer.stream(photographs, workers=0) if isinstance(result, wsol.Localization)
]
output = Path("exported")
output.mkdir(exist_ok=True)
for name, (write, target) in FORMATS.items():  # coco, yolo, voc, label-studio, csv, masks
    write(results, output / target, classes=localizer.model.classes.names, root=photographs[0].parent)
    print(name, output / target)
