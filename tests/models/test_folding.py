"""Folded networks compute what they did."""

import pytest
import timm
import torch
from torch import Tensor, nn

from wsol.models.classifier import Classifier
from wsol.models.folding import fold_batch_norms


def _settle(network: nn.Module) -> nn.Module:
    """Statistics, scales and shifts that are not those of a new batch norm."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network.eval()


@pytest.mark.parametrize(
    "name", ["resnet18", "tf_efficientnet_lite0", "mobilenetv1_100", "regnetx_002", "inception_v3"]
)
def test_the_folded_copy_is_the_same_function(name: str) -> None:
    classifier = Classifier(_settle(timm.create_model(name, num_classes=6))).eval()
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    folded = fold_batch_norms(classifier, (96, 96))
    assert folded is not classifier and not any(
        isinstance(module, nn.BatchNorm2d) for module in folded.modules()
    )
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        for expected, found in zip(classifier(images), folded(images), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert all(torch.equal(before[key], value) for key, value in classifier.state_dict().items())
    assert not any(module._forward_hooks for module in (*classifier.modules(), *folded.modules()))


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(x)
        return torch.add(self.norm(x), x)


def test_a_network_that_cannot_be_folded_stays_as_it_is() -> None:
    network = _settle(_Twice())
    copied = fold_batch_norms(network, (32, 32))
    assert copied is not network and isinstance(copied.get_submodule("norm"), nn.BatchNorm2d)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(copied(images), network(images))


def test_a_norm_that_follows_no_convolution_stays() -> None:
    network = _settle(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)))
    folded = fold_batch_norms(network, (32, 32))
    assert isinstance(folded.get_submodule("2"), nn.BatchNorm2d)
