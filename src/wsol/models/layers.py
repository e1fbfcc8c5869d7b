"""Inner layers by name: where methods look into a network, change what passes, or run a part of it again."""

import difflib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from torch import Tensor, nn

from wsol.errors import ModelError

SHELL = 0.8
"""A module with this share of all convolutions is no stage: its children are."""


def find_layer(network: nn.Module, name: str) -> nn.Module:
    """The module of that name.

    Raises:
        ModelError: there is none; the message says which names come near.
    """
    modules: dict[str, nn.Module] = dict(network.named_modules())
    if not name or name not in modules:
        near = difflib.get_close_matches(name, [*modules][1:], n=5, cutoff=0.4) or stages(network)
        raise ModelError(f"the network has no layer {name!r}; it has {', '.join(near)}")
    return modules[name]


def stages(network: nn.Module) -> list[str]:
    """Names of the parts of a network that follow one another, each of two convolutions or more.

    ``layer1`` … ``layer4`` of a ResNet, ``blocks.0`` … ``blocks.6`` of an EfficientNet.
    """
    total, prefix = _convolutions(network), ""
    while shell := [
        name for name, child in network.named_children() if _convolutions(child) >= SHELL * total > 0
    ]:
        network, prefix = network.get_submodule(shell[0]), f"{prefix}{shell[0]}."
    return [prefix + name for name, child in network.named_children() if _convolutions(child) > 1]


def before(network: nn.Module, stage: str) -> str:
    """The layer whose output a stage gets: the sibling before it."""
    parent, _, name = stage.rpartition(".")
    siblings = [child for child, _ in network.get_submodule(parent).named_children()]
    place = siblings.index(name)
    if place == 0:
        raise ModelError(f"nothing stands before {stage}; name a layer")
    return f"{parent}.{siblings[place - 1]}" if parent else siblings[place - 1]


@contextmanager
def watch(network: nn.Module, layers: Mapping[str, Callable[[Tensor], Tensor | None]]) -> Iterator[None]:
    """Inside the block, each named layer's output passes through its function, which may replace it."""
    with ExitStack() as stack:
        for name, function in layers.items():
            hook = find_layer(network, name).register_forward_hook(
                lambda _module, _inputs, output, function=function: function(output)
            )
            stack.callback(hook.remove)
        yield


class Passed:
    """A pass through a network, of which the part behind one layer can be run again from another map.

    Inside ``with passed.recording():`` a pass is remembered up to the layer; inside ``with passed.again():``
    the next pass skips what lies before it: the layers there give what they gave, and the layer itself
    gives ``changed``. Layers that share a parent with the layer, or with one of its parents, are skipped
    whole; only functions between modules are computed twice.

    Args:
        network: the network.
        layer: name of the layer.
        change: what happens to the layer's output for the second pass. It is called during the first, before
            anything behind the layer can change the output in place.
    """

    def __init__(self, network: nn.Module, layer: str, change: Callable[[Tensor], Tensor]) -> None:
        self._layer = find_layer(network, layer)
        parents = [network.get_submodule(".".join(layer.split(".")[:n])) for n in range(layer.count(".") + 1)]
        within = {id(parent) for parent in parents}
        self._candidates = [
            child for parent in parents for child in parent.children() if id(child) not in within
        ]
        self._change = change
        self._outputs: dict[nn.Module, deque[Any]] = {}
        self._done = False

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Remember the pass inside the block."""
        self._outputs, self._done = {}, False
        with ExitStack() as stack:
            for module in self._candidates:
                stack.callback(module.register_forward_hook(self._remember).remove)
            yield
        if not self._done:
            raise ModelError("the layer that attentive dropout erases did not run")

    def _remember(self, module: nn.Module, _: object, output: Any) -> None:  # noqa: ANN401
        if self._done:
            return
        self._done = module is self._layer
        given = self._change(cast("Tensor", output)) if self._done else output
        self._outputs.setdefault(module, deque()).append(given)

    @contextmanager
    def again(self) -> Iterator[None]:
        """The pass inside the block starts from the changed map."""
        with ExitStack() as stack:
            for module, outputs in self._outputs.items():
                module.forward = _repeat(outputs, module.forward)
                stack.callback(delattr, module, "forward")
            yield


def _repeat(outputs: deque[Any], forward: Callable[..., Any]) -> Callable[..., Any]:
    """Gives what was given; a layer that is used again behind the point computes."""
    return lambda *inputs: outputs.popleft() if outputs else forward(*inputs)


def _convolutions(module: nn.Module) -> int:
    return sum(isinstance(part, nn.Conv2d) for part in module.modules())
