"""Where the pictures of the official evaluation come from, and where to put them."""

from wsol.data.known import KNOWN

_PROJECT = """\
Metadata: from the official WSOL evaluation project, https://github.com/clovaai/wsolevaluation (Choe et al.,
"Evaluating Weakly-Supervised Object Localization Methods Right", CVPR 2020), folder metadata/{folder}:
train/, val/ and test/ with image_ids.txt, class_labels.txt, image_sizes.txt, localization.txt."""

_SOURCES = {
    "cub": """\
Pictures, train and test: CUB-200-2011 (Caltech-UCSD Birds, Wah et al. 2011), from CaltechDATA,
https://data.caltech.edu/records/65de6-vp158: 11,788 photographs of 200 species.
Pictures, val: CUBV2, 1,000 photographs that the WSOL evaluation project collected: from its page.""",
    "imagenet": """\
Pictures, train and test: ILSVRC 2012, from https://image-net.org, after signing in and accepting its terms:
the archives of training and validation images, about 150 GB together. The 50,000 validation images are
the split test here.
Pictures, val: ImageNetV2 (Recht et al. 2019), 10,000 images, from https://github.com/modestyachts/ImageNetV2.
Its releases name the files differently: take the one whose names image_ids.txt lists; `wsol data check` says
if they do not fit.
The boxes for it come with the metadata.""",
    "openimages": """\
Pictures and masks: OpenImages30K, 37,319 images of OpenImages V5 in 100 classes that the WSOL evaluation
project selected: from its page. Masks, and masks of the regions to ignore, are for val and test only.""",
}
_FOLDERS = {"cub": "CUB", "imagenet": "ILSVRC", "openimages": "OpenImages"}


def guide(name: str) -> str:
    """What to get, where to put it, how to check it; nothing is downloaded.

    Args:
        name: one of :data:`wsol.data.known.KNOWN`.
    """
    known = KNOWN[name]
    masks = "  masks/                      as localization.txt names them\n" if known.truth == "masks" else ""
    counts = "\n".join(
        f"  {split:<6} {count:>6,} images"
        + (f" with {known.objects[split]:,} {known.truth}" if split in known.objects else "")
        for split, count in known.images.items()
    )
    return f"""\
{known.title}: {known.classes:,} classes
{counts}

{_SOURCES[name]}

{_PROJECT.format(folder=_FOLDERS[name])}

Put them so:

{name}/
  images/                     as image_ids.txt names them, folders included
{masks}  metadata/train/*.txt
  metadata/val/*.txt
  metadata/test/*.txt
  classes.txt                 if you want names for classes: line n names label n - 1

Parts that lie elsewhere are named with --images, --metadata{" and --masks" if masks else ""}.

Then check it:

  wsol data check {name} --expect {name}
"""
