"""Inner layers by name: where methods look into a network, change what passes, or run a part of it again."""

import difflib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from wsol.errors import ModelError

SHELL = 0.8
"""A module with this share of all convolutions is no stage: its children are."""


def find_layer(network: nn.Module, name: str) -> nn.Module:
    """The module of that name.

    Raises:
        ModelError: there is none; the message says which names come near.
    """
    modules: dict[str, nn.Module] = dict(network.named_modules(remove_duplicate=False))
    if not name or name not in modules:
        names = [*modules][1:]
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.4) or stages(network) or names[-5:]
        raise ModelError(f"the network has no layer {name!r}; it has {', '.join(near)}")
    return modules[name]


def stages(network: nn.Module) -> list[str]:
    """Names of the parts of a network that follow one another, each of two convolutions or more.

    ``layer1`` … ``layer4`` of a ResNet, ``blocks.0`` … ``blocks.6`` of an EfficientNet; none of a network
    that is one row of single layers, as VGG16.
    """
    total, prefix = _convolutions(network), ""
    while shell := [
        name for name, child in network.named_children() if _convolutions(child) >= SHELL * total > 0
    ]:
        network, prefix = network.get_submodule(shell[0]), f"{prefix}{shell[0]}."
    return [
        prefix + name
        for name, child in network.named_children()
        if _convolutions(child) > 1 and type(child).forward is not nn.Module.forward  # no mere list
    ]


def before(network: nn.Module, stage: str) -> str:
    """The layer whose output a stage gets: the sibling before it.

    Raises:
        ModelError: it has none.
    """
    parent, _, name = stage.rpartition(".")
    siblings = [child for child, _ in network.get_submodule(parent).named_children()]
    place = siblings.index(name)
    if place == 0:
        raise ModelError(f"nothing stands before {stage}: name a layer")
    return f"{parent}.{siblings[place - 1]}" if parent else siblings[place - 1]


def without_dropout(network: nn.Module) -> None:
    """Turn the network's dropout layers off; names of parameters stay."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


@contextmanager
def watch(network: nn.Module, layers: Mapping[str, Callable[[Tensor], Tensor | None]]) -> Iterator[None]:
    """Inside the block, each named layer's output passes through its function, which may replace it.

    Raises:
        ModelError: no such layer; or its output is no map; or it did not run inside the block.
    """
    waiting = set(layers)

    def hook(name: str) -> Callable[..., Tensor | None]:
        def pass_on(_module: nn.Module, _inputs: object, output: object) -> Tensor | None:
            waiting.discard(name)
            return layers[name](_one_map(output, name))

        return pass_on

    with ExitStack() as stack:
        for name in layers:
            stack.callback(find_layer(network, name).register_forward_hook(hook(name)).remove)
        yield
    if waiting:
        raise ModelError(f"{', '.join(sorted(waiting))} did not run in the forward pass: name another layer")


class Passed:
    """A pass through a network, of which the part behind one layer can be run again from another map.

    Inside ``with passed.recording():`` a pass is remembered up to the layer; inside ``with passed.again():``
    the next pass skips what lies before it: the layers there give what they gave, and the layer itself
    gives ``change`` of what it gave. Layers that share a parent with the layer, or with one of its parents,
    are skipped whole; only functions between modules are computed twice. A layer that runs several times in
    a pass counts with its first.

    Args:
        network: the network.
        layer: name of the layer.
        change: what happens to the layer's output for the second pass. It is called during the first, before
            anything behind the layer can change the output in place.
    """

    def __init__(self, network: nn.Module, layer: str, change: Callable[[Tensor], Tensor]) -> None:
        self._name, self._layer = layer, find_layer(network, layer)
        parents = [network.get_submodule(".".join(layer.split(".")[:n])) for n in range(layer.count(".") + 1)]
        within = {id(parent) for parent in parents}
        self._candidates = [
            child for parent in parents for child in parent.children() if id(child) not in within
        ]
        self._change = change
        self._outputs: dict[nn.Module, deque[tuple[Any, int]]] = {}
        self._done = False

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Remember the pass inside the block.

        Raises:
            ModelError: the layer did not run, or its output is no map.
        """
        self._outputs, self._done = {}, False
        with ExitStack() as stack:
            for module in self._candidates:
                stack.callback(module.register_forward_hook(self._remember).remove)
            yield
        if not self._done:
            raise ModelError(f"{self._name} did not run in the forward pass: name another layer")

    def _remember(self, module: nn.Module, _: object, output: Any) -> None:  # noqa: ANN401
        if self._done:
            return
        self._done = module is self._layer
        given = self._change(_one_map(output, self._name)) if self._done else output
        self._outputs.setdefault(module, deque()).append((given, _version(given)))

    @contextmanager
    def again(self) -> Iterator[None]:
        """The pass inside the block starts from the changed map; it uses up what was recorded."""
        with ExitStack() as stack:
            for module, outputs in self._outputs.items():
                stack.callback(_restore, module, module.__dict__.get("forward"))
                module.forward = _repeat(outputs, module.forward)
            yield


def _repeat(outputs: deque[tuple[Any, int]], forward: Callable[..., Any]) -> Callable[..., Any]:
    """Gives what was given; a layer that is used again behind the point computes."""

    def repeated(*inputs: Any, **options: Any) -> Any:  # noqa: ANN401
        if not outputs:
            return forward(*inputs, **options)
        output, version = outputs.popleft()
        # what was changed in place (as by `x += shortcut`) is so again, and the first pass needs it as it is
        return output if _version(output) == version else output.clone()

    return repeated


def _restore(module: nn.Module, forward: Callable[..., Any] | None) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward


def _version(output: object) -> int:
    """How often a tensor was changed in place."""
    return output._version if isinstance(output, Tensor) and not output.is_inference() else 0


def _one_map(output: object, name: str) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 4:
        found = f"of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(f"the output of {name} is {found}, not one map (B, K, h, w): name another layer")
    return output


def _convolutions(module: nn.Module) -> int:
    """How many it has; a depthwise one counts with the pointwise one that it belongs to."""
    parts = (part for part in module.modules() if isinstance(part, nn.Conv2d))
    return sum(not (part.groups == part.in_channels > 1) for part in parts)
