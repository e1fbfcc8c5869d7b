"""Class accuracy from ranks, against torchmetrics' own from scores."""

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy

from wsol.metrics import TopKAccuracy, ranks


def test_torchmetrics_agrees() -> None:
    scores, labels = torch.rand(40, 12), torch.randint(12, (40,))
    metric = TopKAccuracy(topk=(1, 3, 5))
    metric.update(ranks(scores[:7], labels[:7]))
    metric.update(ranks(scores[7:], labels[7:]))
    values = metric.compute()
    assert list(values) == ["Top-1 Cls", "Top-3 Cls", "Top-5 Cls"]
    for k, value in zip((1, 3, 5), values.values(), strict=True):
        expected = MulticlassAccuracy(12, top_k=k, average="micro")(scores, labels)
        assert value.item() == pytest.approx(expected.item(), abs=1e-6)


def test_by_hand() -> None:
    metric = TopKAccuracy()
    metric.update(torch.tensor([0, 4, 5, 0]))
    assert {name: value.item() for name, value in metric.compute().items()} == {
        "Top-1 Cls": 0.5,
        "Top-5 Cls": 0.75,
    }


def test_what_is_wrong_is_refused() -> None:
    for wrong in ((), (1, 0)):
        with pytest.raises(ValueError, match="topk must be 1 or more each"):
            TopKAccuracy(wrong)
    metric = TopKAccuracy()
    with pytest.raises(ValueError, match="rank must be integers"):
        metric.update(torch.tensor([0.0]))
    with pytest.raises(ValueError, match=r"rank must be \(B,\), got \(\)"):
        metric.update(torch.tensor(0))
    with pytest.raises(ValueError, match="no image was seen"):  # the refused batches count for nothing
        metric.compute()
