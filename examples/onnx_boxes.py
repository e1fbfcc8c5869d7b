"""Boxes from an ONNX file of ``wsol export``, with onnxruntime, NumPy, Pillow and SciPy; no PyTorch.

python onnx_boxes.py MODEL.onnx PHOTO ...
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from scipy import ndimage

session = onnxruntime.InferenceSession(sys.argv[1])
about = json.loads(session.get_modelmeta().custom_metadata_map["wsol"])
height, width = about["input_size"]
for path in sys.argv[2:]:
    photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    images = np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR))[None]
    scores, label, _, box_map = session.run(None, {"images": images})
    exponentials = np.exp(scores[0] - scores[0].max())
    probability = exponentials[label[0]] / exponentials.sum()
    levels = np.floor(255 * box_map[0])
    mask = levels > int(about["ratio"] * np.percentile(levels, about["percentile"]))
    parts, _ = ndimage.label(mask, np.ones((3, 3)))
    print(path, about["classes"][label[0]], f"{probability:.3f}")
    for rows, columns in ndimage.find_objects(parts):
        x0, x1 = (round(x * photo.width / width) for x in (columns.start, columns.stop))
        y0, y1 = (round(y * photo.height / height) for y in (rows.start, rows.stop))
        print(f"  {x0} {y0} {x1} {y1}  {box_map[0, rows, columns].mean() * probability:.3f}")
