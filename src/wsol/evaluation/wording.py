"""A protocol in words: what must stand beside every number, and what the numbers are."""

import re
from collections.abc import Mapping
from typing import Any

from wsol.evaluation.protocol import Policy, Protocol
from wsol.evaluation.result import Quantity, Result, Score

LABELS = {
    "true": "map of the true class",
    "predicted": "map of the predicted class",
    "asked": "map of the class asked for",
    "unstated": "map of a class that is not stated",
}

CONTOURS = {"largest": "largest contour", "all": "all contours"}

STANDARDS = {"max": "MaS", "percentile": "PaS", "ivr": "IVR"}

OFFICIAL_STEP = 0.001

METRICS = {
    "GT-known Loc": "images whose largest contour's box meets a true box with IoU ≥ 0.5, at one τ for all "
    "images, with the map of the true class",
    "Loc": "images whose largest contour's box meets a true box with IoU ≥ 0.5, at one τ for all images",
    "Top-1 Loc": "images that are localized by the largest contour (IoU ≥ 0.5) and whose class is right too",
    "Top-5 Loc": "images that are localized by the largest contour (IoU ≥ 0.5) and whose class is among the "
    "five most probable",
    "MaxBoxAcc": "images localized by the largest contour (IoU ≥ 0.5), at the τ that is best for "
    "these very images",
    "BoxAccV2": "images localized by any contour, mean over IoU ≥ 0.3, 0.5 and 0.7, each at a τ of its own",
    "MaxBoxAccV2": "as BoxAccV2, each τ being the best for these very images",
    "PxAP": "area under the precision–recall curve of all pixels together; it needs no τ",
    "Mask IoU": "mean over images of the IoU of the map above τ and the true mask",
    "Top-1 Cls": "images whose most probable class is the true one; maps play no part",
    "Top-5 Cls": "images whose true class is among the five most probable; maps play no part",
}
"""What each number is, in a sentence."""

_BOX_ACCURACY = re.compile(r"BoxAcc@([\d.]+) (largest|all)")


def explain(name: str) -> str:
    """What a number of that name is, in a sentence.

    Raises:
        KeyError: no number is called so.
    """
    match = _BOX_ACCURACY.fullmatch(name)
    if match is None:
        return METRICS[name]
    return f"images localized with IoU ≥ {match[1]} by a box of {CONTOURS[match[2]]}"


def is_part(name: str) -> bool:
    """Whether a number is a detail that others sum up: the accuracy of one contour mode at one δ."""
    return _BOX_ACCURACY.fullmatch(name) is not None


def contour_words(contours: str | None) -> str:
    """Whose boxes count."""
    return CONTOURS[contours] if contours else ""


def policy_words(policy: Policy | None, selected_on: str | None, ratios: tuple[float, ...] = ()) -> str:
    """Where τ comes from."""
    match policy:
        case "transferred":
            return f"τ chosen on {selected_on} (transferred)"
        case "oracle":
            return f"τ chosen on {selected_on} itself (oracle)"
        case "fixed":
            given = ", ".join(f"{ratio:g}" for ratio in dict.fromkeys(ratios))
            return f"τ = {given} given (fixed)" if given else "τ given (fixed)"
        case None:
            return "no τ"


def brief_policy(quantity: Quantity) -> str:
    """Where τ comes from, as short as a table's heading; "" without τ."""
    return {
        "transferred": f"τ from {quantity.selected_on}",
        "oracle": "oracle",
        "fixed": "τ = " + ", ".join(f"{ratio:g}" for ratio in dict.fromkeys(quantity.ratios)),
        None: "",
    }[quantity.policy]


def short_standard(protocol: Protocol) -> str:
    """MaS, PaS 90 or IVR 90."""
    name = STANDARDS[protocol.standard]
    return name if protocol.standard == "max" else f"{name} {protocol.percentile:g}"


def protocol_parts(result: Result, images: int) -> list[str]:
    """What every number of a result stands with, for a heading."""
    protocol = result.protocol
    ratios = tuple(score.ratios[0] for score in result.scores if score.policy == "fixed" and score.ratios)
    return [
        f"{data_name(result)} · {protocol.split}, {images:,} image{'' if images == 1 else 's'}",
        policy_words(protocol.policy, protocol.selected_on, ratios),
        label_words(result),
        short_standard(protocol),
        protocol.truth,
        *([] if protocol.step == OFFICIAL_STEP else [f"steps of {protocol.step:g}"]),
    ]


def label_words(result: Result) -> str:
    """Whose maps they are."""
    asked = result.model.get("asked")
    words = LABELS[result.protocol.label_source]
    return f"{words}, {asked}" if result.protocol.label_source == "asked" and asked else words


def aspects(result: Result, quantity: Quantity) -> dict[str, str]:
    """All that a number depends on besides the method, in a few words each; different words, different thing.

    Numbers are comparable exactly if these are equal. What τ is a share of belongs to the method, as the
    map does: MaS and PaS are two rows of one column.
    """
    protocol, data = result.protocol, result.data
    found = {"data": f"data {_short(data)}", "split": protocol.split}
    if is_classification(quantity):
        return found | {"maps": "class scores alone, no maps"}
    if quantity.policy is not None:
        found["policy"] = policy_words(quantity.policy, quantity.selected_on, quantity.ratios)
    if quantity.policy == "transferred":
        found["selection"] = f"{quantity.selected_on} data {_short(data.get('selection') or {})}"
    found["label source"] = label_words(result)
    if quantity.policy != "fixed":
        found["step"] = f"steps of {protocol.step:g}"
    found["truth"] = f"true {protocol.truth}"
    if quantity.contours is not None:
        found["contours"] = contour_words(quantity.contours)
        found["δ"] = "IoU ≥ " + ", ".join(f"{delta:g}" for delta in quantity.iou_thresholds)
    return found


def _short(data: Mapping[str, Any]) -> str:
    """The first digits of a fingerprint."""
    return str(data.get("fingerprint", "of an unknown fingerprint")).removeprefix("sha256:")[:12]


def is_classification(quantity: Quantity) -> bool:
    """Whether a number has nothing to do with maps."""
    return quantity.name.endswith(" Cls")


def data_name(result: Result) -> str:
    """What the data set is called."""
    return str(result.data["name"])


def percent(value: float) -> str:
    """In %, one decimal, without the sign: 61.2."""
    return f"{100 * value:.1f}"


def interval(score: Score) -> str:
    """The 95 % interval in %: 58.0–64.1."""
    return f"{percent(score.low)}–{percent(score.high)}"
