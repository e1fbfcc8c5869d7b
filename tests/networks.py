"""Networks that tests of several parts go through."""

PAPER_VARIANTS = (
    ("vgg16_cam", 14),
    ("vgg16_cam", 28),
    ("resnet50_cam", 14),
    ("resnet50_cam", 28),
    ("seresnet50_cam", 14),
    ("inception_v3_cam", 14),
    ("inception_v3_cam", 28),
    ("mobilenetv1_cam", 14),
)
"""The papers' networks with each size of map."""

DROP_LAYERS = {
    "vgg16_cam": "features.22",
    "resnet50_cam": "layer4.0",
    "seresnet50_cam": "layer4.0",
    "inception_v3_cam": "Mixed_6e",
    "mobilenetv1_cam": "blocks.3",
    "tf_efficientnet_lite0": "blocks.5",
    "resnet50": "layer4.0",
    "densenet121": "features.transition3",
    "regnety_004": "s3",
    "mobilenetv2_100": "blocks.5",
    "xception41": "blocks.11",
}
"""Where attentive dropout stands by default: a layer in the middle of each network."""
