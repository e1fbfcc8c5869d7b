"""What cannot be asked for by accident, and the protocol that options stand for."""

from typing import Any

import pytest

from wsol.evaluation.options import EvaluationOptions
from wsol.evaluation.protocol import Protocol


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"split": "val"},
            "split and select_on are both 'val': choose .* another split, or say policy 'oracle'",
        ),
        ({"select_on": "test"}, "split and select_on are both 'test'"),
        ({"policy": "best"}, "policy must be one of .*transferred.*, got 'best'"),
        ({"threshold": "mean"}, "threshold must be one of .*percentile.*, got 'mean'"),
        ({"policy": "fixed"}, "the policy 'fixed' needs ratio: the threshold"),
        ({"ratio": 0.2}, "ratio is for the policy 'fixed'; policy is 'transferred'"),
        ({"policy": "oracle", "ratio": 0.2}, "ratio is for the policy 'fixed'; policy is 'oracle'"),
        ({"policy": "fixed", "ratio": 1.1}, "ratio must be in .*, got 1.1"),
        ({"policy": "fixed", "ratio": -0.1}, "ratio must be in .*, got -0.1"),
        ({"policy": "fixed", "ratio": float("nan")}, "ratio must be in .*, got nan"),
        ({"percentile": 90.0}, "percentile is for threshold 'percentile' or 'ivr'; threshold is 'max'"),
        ({"threshold": "percentile", "percentile": 100.5}, "percentile must be in .*, got 100.5"),
        ({"threshold": "ivr", "percentile": 100.0}, "percentile must be in .*, got 100.0"),
        ({"label_source": "best"}, "label_source must be true, predicted or asked, got 'best'"),
        ({"label_source": "unstated"}, "label_source must be"),
        ({"label_source": "asked"}, "label and label_source 'asked' go together"),
        ({"label": "cat"}, "label and label_source 'asked' go together"),
        ({"label": "cat", "label_source": "true"}, "label and label_source 'asked' go together"),
        ({"step": 0.0}, "step must be in .*, got 0.0"),
        ({"step": 1.5}, "step must be in .*, got 1.5"),
        ({"resamples": 0}, "resamples must be at least 1, got 0"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        EvaluationOptions(**options)


@pytest.mark.parametrize(
    ("options", "policy", "selected_on", "standard", "percentiles"),
    [
        ({}, "transferred", "val", "max", (100, 100)),
        ({"select_on": "train"}, "transferred", "train", "max", (100, 100)),
        ({"policy": "oracle"}, "oracle", "test", "max", (100, 100)),
        ({"policy": "oracle", "split": "val"}, "oracle", "val", "max", (100, 100)),
        ({"policy": "fixed", "ratio": 1}, "fixed", None, "max", (100, 100)),
        ({"threshold": "percentile"}, "transferred", "val", "percentile", (90, 90)),
        ({"threshold": "percentile", "percentile": 75}, "transferred", "val", "percentile", (75, 75)),
        ({"threshold": "percentile", "percentile": 0}, "transferred", "val", "percentile", (0, 0)),
        ({"threshold": "ivr"}, "transferred", "val", "ivr", (90, 100)),
    ],
)
def test_the_protocol(
    options: dict[str, Any], policy: str, selected_on: str | None, standard: str, percentiles: tuple[int, int]
) -> None:
    percentile, level_percentile = percentiles
    found = EvaluationOptions(**options, step=0.005).protocol("boxes", "predicted")
    assert found == Protocol(
        split=options.get("split", "test"), truth="boxes", policy=policy, selected_on=selected_on,  # type: ignore[arg-type]
        label_source="predicted", standard=standard, percentile=percentile, step=0.005,  # type: ignore[arg-type]
    )  # fmt: skip
    assert found.level_percentile == level_percentile


def test_what_masks_do_not_go_with() -> None:
    with pytest.raises(ValueError, match="'percentile' is for boxes"):
        EvaluationOptions(threshold="percentile").protocol("masks", "true")
    for ratio in (0.0005, 0.1234):
        fixed = EvaluationOptions(policy="fixed", ratio=ratio)
        assert fixed.protocol("boxes", "true").policy == "fixed"
        with pytest.raises(ValueError, match=rf"multiple of step, 0\.001, for masks; got {ratio}"):
            fixed.protocol("masks", "true")
    for ratio in (0, 0.001, 0.007, 0.29, 0.57, 0.999, 1):
        assert EvaluationOptions(policy="fixed", ratio=ratio).protocol("masks", "true").truth == "masks"
    assert EvaluationOptions(threshold="ivr").protocol("masks", "true").percentile == 90
