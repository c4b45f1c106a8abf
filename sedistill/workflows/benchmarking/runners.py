"""Ways to run a network, as functions of a waveform. Packages are imported by the ways that need them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Runner:
    """What can be timed of a way.

    clip: takes a whole waveform (T,). steps: takes one in steps, and gives the seconds that each took.
    works_elsewhere: in processes of its own, whose CPU time and memory are not seen from here.
    """

    sample_rate: int
    clip: Callable[[Wave], object] | None
    steps: Callable[[Wave], list[float]] | None
    step_samples: int | None
    works_elsewhere: bool = False


def opened(way: str, model: str, threads: int) -> Runner:
    """The network `model` in a way of `WAYS`, on so many threads. Raises UserError."""
    return WAYS[way](model, threads)


def eager(model: str, threads: int) -> Runner:
    """In PyTorch as it is used: `enhance` gives it clips, `Stream` steps where it has them."""
    import torch

    from sedistill.inference.streaming import Stream
    from sedistill.workflows.benchmarking.named import network_of

    torch.set_num_threads(threads)
    network = network_of(model)

    @torch.inference_mode()
    def clip(wave: Wave) -> object:
        return network(torch.from_numpy(wave)[None])

    size = network.step_samples
    steps = None if size is None else in_steps(Stream(network).process, size)
    return Runner(network.sample_rate, clip, steps, size)


def compiled(model: str, threads: int) -> Runner:
    """By torch.compile: a step where the network has them (recurrent layers of a clip compile for hours)."""
    import torch

    from sedistill.models.folding import folded
    from sedistill.workflows.benchmarking.named import network_of

    torch.set_num_threads(threads)
    network = folded(network_of(model))
    size = network.step_samples
    if size is None:
        whole = torch.compile(network, dynamic=False)
        clip = torch.inference_mode()(lambda wave: whole(torch.from_numpy(wave)[None]))
        return Runner(network.sample_rate, clip, None, None)
    step, states = torch.compile(network.step, dynamic=False), network.first_states(1)

    @torch.inference_mode()
    def process(piece: Wave) -> object:
        enhanced, states[:] = step(torch.from_numpy(piece)[None], states)
        return enhanced.numpy()

    return Runner(network.sample_rate, None, in_steps(process, size), size)


def onnx(model: str, threads: int) -> Runner:
    """A file of `sedistill export`, of form `stream` or `clip`, in onnxruntime without PyTorch."""
    from sedistill.inference.exporting.onnx_session import FORM, Session

    session = Session(Path(model), threads)
    rate = session.number("sample_rate")
    if session.facts[FORM] == "clip":
        return Runner(rate, lambda wave: session.run(wave[None]), None, None)
    states = [np.zeros(shape, np.float32) for shape in session.state_shapes]

    def process(piece: Wave) -> object:
        enhanced, *states[:] = session.run(piece[None], *states)
        return enhanced

    size = session.number("step_samples")
    return Runner(rate, None, in_steps(process, size), size)


def foreign(model: str, threads: int) -> Runner:
    """A denoiser from elsewhere, as `sedistill.open_teacher` takes it, on one thread.

    Its steps are its calls to onnxruntime; what lies around them, such as a Fourier transform, counts for the
    clip alone.
    """
    from sedistill.teachers.opening import open_foreign, settings_of

    settings = settings_of(model)
    assert settings is not None
    teacher: Any = open_foreign(settings)
    rate = teacher.sample_rate or 16_000

    def clip(wave: Wave) -> object:
        return teacher.clean(wave, rate)

    if not hasattr(teacher, "session"):
        return Runner(rate, clip, None, None, teacher.works_elsewhere)

    times = timed(teacher, "session", "run")

    def steps(wave: Wave) -> list[float]:
        times.clear()
        clip(wave)
        return list(times)

    short, long = (len(steps(np.zeros(seconds * rate, np.float32))) for seconds in (1, 11))
    if short == long:  # each waveform is one call
        return Runner(rate, clip, None, None)
    return Runner(rate, clip, steps, round(10 * rate / (long - short)))


WAYS: dict[str, Callable[[str, int], Runner]] = {
    way.__name__: way for way in (eager, compiled, onnx, foreign)
}


def in_steps(process: Callable[[Wave], object], size: int) -> Callable[[Wave], list[float]]:
    """Give `process` one step after the other, and time each."""

    def steps(wave: Wave) -> list[float]:
        times = []
        for start in range(0, len(wave) - size + 1, size):
            piece = wave[start : start + size]
            before = time.perf_counter()
            process(piece)
            times.append(time.perf_counter() - before)
        return times

    return steps


def timed(owner: Any, attribute: str, name: str) -> list[float]:
    """From now on, the seconds of every call of `owner.attribute.name`."""
    inner, times = getattr(owner, attribute), []

    class Timed:
        def __getattr__(self, wanted: str) -> Any:
            return getattr(inner, wanted)

    def call(*given: Any) -> Any:
        before = time.perf_counter()
        made = getattr(inner, name)(*given)
        times.append(time.perf_counter() - before)
        return made

    stand_in = Timed()
    setattr(stand_in, name, call)
    setattr(owner, attribute, stand_in)
    return times
