"""Boxes from an ONNX file of ``wsol export``, with onnxruntime, NumPy, OpenCV and Pillow; no PyTorch.

python onnx_boxes.py MODEL.onnx PHOTO ...       (of 8 bits, without transparency)
"""

import json
import math
import sys

import cv2
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

if len(sys.argv) < 3:
    sys.exit(__doc__)
session = onnxruntime.InferenceSession(sys.argv[1])
about = json.loads(session.get_modelmeta().custom_metadata_map["wsol"])
height, width = about["input_size"]
for path in sys.argv[2:]:
    try:
        photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    except OSError as error:  # a damaged file does not end the others
        print(path, error, file=sys.stderr)
        continue
    images = np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR))[None]
    scores, label, _, (box_map,) = session.run(None, {"images": images})
    probability = 1 / np.exp(scores[0].astype(float) - scores[0, label[0]]).sum()
    levels = np.floor(255 * box_map)
    mask = levels > int(about["ratio"] * np.percentile(levels, about["percentile"]))
    mask &= probability >= about["min_probability"]
    _, parts, extents, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    print(path, about["classes"][label[0]], f"{probability:.3f}")
    outlines = [
        cv2.findContours((parts == part).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0][0]
        for part in range(1, len(extents))
    ]
    found = [(cv2.contourArea(each), *extent) for each, extent in zip(outlines, extents[1:], strict=True)]
    found = sorted(found, key=lambda each: each[0])[-1:] if about["boxes"] == "largest" else found
    for _, x, y, w, h, pixels in found:
        if pixels >= about["min_area"] * mask.size:
            x0, x1 = (math.ceil(edge * photo.width / width - 0.5) for edge in (x, x + w))
            y0, y1 = (math.ceil(edge * photo.height / height - 0.5) for edge in (y, y + h))
            print(f"  {x0} {y0} {x1} {y1}  {box_map[y : y + h, x : x + w].mean() * probability:.3f}")
