"""Activations of a network's modules, kept while it runs: what feature distillation compares."""

import copy
import difflib
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from sedistill.common.argument_checks import check_list
from sedistill.common.errors import UserError

PROBE_SAMPLES = 16_000


class Taps:
    """Keeps the last output of each named module, from one forward pass to the next `take()`.

        with Taps(student, ["encoder.3", "decoder.3"], whose="student") as taps:
            estimate = student(noisy)
            features = taps.take()  # {"encoder.3": (B, C, T), ...}, with their graph

    network: the network itself, before any wrapping (DistributedDataParallel, compile) that renames modules;
        wrap it afterwards and the taps go on working.
    names: as `network.named_modules()` gives them. whose: the word for the network in messages.

    Of a tuple the first item is taken. The network is not changed: nothing enters its state_dict, and copies
    and pickles of it keep nothing. Activations stay in memory until they are taken: take them every step, or
    set `watching` to False for a while.

    Raises UserError for a name that the network does not have or that cannot run by itself, in the forward
    pass for a module that gives no tensor, and in `take` for a module that did not run.
    """

    def __init__(self, network: nn.Module, names: Iterable[str], whose: str = "network") -> None:
        check_list("names", names)
        self.names, self.whose = tuple(dict.fromkeys(names)), whose
        self._network = network
        self._kept = _Kept()
        modules = {name: _module(network, name, whose) for name in self.names}
        self._hooks = [
            module.register_forward_hook(_Keep(self._kept, name, whose)) for name, module in modules.items()
        ]

    def take(self) -> dict[str, Tensor]:
        """The activations by name, in the order of the names; the taps are empty afterwards."""
        taken = dict(self._kept)
        self._kept.clear()
        for name in self.names:
            if name not in taken:
                around = _module_around(self._network, name)
                advice = f"tap the module around it, '{around}'" if around else "tap another module"
                raise UserError(
                    f"the {self.whose}'s module '{name}' did not run in the forward pass (the network "
                    f"computes it as part of something larger, or not at all); {advice}."
                )
        return {name: taken[name] for name in self.names}

    @property
    def watching(self) -> bool:
        """Whether activations are kept. Where nobody takes them, they would only fill memory."""
        return self._kept.watching

    @watching.setter
    def watching(self, watching: bool) -> None:
        self._kept.watching = watching

    def close(self) -> None:
        """Remove the hooks and forget the activations."""
        for hook in self._hooks:
            hook.remove()
        self._kept.clear()

    def __enter__(self) -> "Taps":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def features_of(network: nn.Module, names: Iterable[str], whose: str) -> dict[str, Tensor]:
    """What modules give for a second of faint noise, by name; a copy is run, and the network left alone."""
    probed = copy.deepcopy(network).eval()
    with Taps(probed, names, whose) as taps, torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        probed(0.01 * torch.randn(1, PROBE_SAMPLES))
        return taps.take()


def near_names(network: nn.Module, name: str) -> list[str]:
    """Up to four names of modules that resemble `name`, else the network's parts."""
    known = [known for known, _ in network.named_modules() if known]
    return difflib.get_close_matches(name, known, n=4) or [part for part, _ in network.named_children()]


class _Kept(dict[str, Tensor]):
    """Activations by name; nothing is added while nobody watches."""

    watching = True


class _Keep:
    """The hook of one module."""

    def __init__(self, kept: _Kept, name: str, whose: str) -> None:
        self.kept, self.name, self.whose = kept, name, whose

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if not self.kept.watching:
            return
        first = output[0] if isinstance(output, (tuple, list)) and output else output
        if not isinstance(first, Tensor):
            raise UserError(
                f"the {self.whose}'s module '{self.name}' gives no tensor to compare "
                f"({type(first).__name__}); tap another module."
            )
        self.kept[self.name] = first

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # A copy of the network must not write over the activations of the original, nor hold them.
        return _KeepNothing, ()


class _KeepNothing:
    """What a hook becomes in a copy of the network."""

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        return None


def _module(network: nn.Module, name: str, whose: str) -> nn.Module:
    known = dict(network.named_modules(remove_duplicate=False))
    if not name or name not in known:
        near = ", ".join(near_names(network, name))
        raise UserError(f"the {whose} has no module '{name}'; near are {near}.")
    if not _runs_by_itself(known[name]):
        inside = ", ".join(f"{name}.{child}" for child, _ in known[name].named_children())
        raise UserError(
            f"the {whose}'s '{name}' is a list of modules without an output; tap one of {inside}."
        )
    return known[name]


def _module_around(network: nn.Module, name: str) -> str:
    """The nearest module around `name` with a forward of its own; "" when that is the network."""
    around = name.rpartition(".")[0]
    while around:
        module = network.get_submodule(around)
        if _runs_by_itself(module) and not isinstance(module, nn.Sequential):
            return around
        around = around.rpartition(".")[0]
    return ""


def _runs_by_itself(module: nn.Module) -> bool:
    return type(module).forward is not nn.Module.forward
