"""An ONNX file as a teacher: waveforms, or frames of a waveform or of spectra with states."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.common.errors import UserError
from sedistill.common.integrity import facts_checksum, file_hash
from sedistill.common.onnx_models import open_onnx_model
from sedistill.common.settings import check_settings
from sedistill.common.wording import first_line
from sedistill.teachers.foreign import ForeignTeacher, Wave
from sedistill.teachers.framed_stft import spectra_of, wave_of
from sedistill.teachers.teacher_settings import StftSettings, TeacherFrom

DPDFNET = ["spec", "state_in"]
STATE_BEGINS = ("erb_norm_init", "spec_norm_init")
"""DPDFNet's inputs, and the metadata about its state (https://github.com/ceva-ip/DPDFNet, Apache-2.0)."""


@dataclass(frozen=True)
class Port:
    """An input or output of a graph: its name, and its shape, None where a size is free."""

    name: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} ({sizes})"


class OnnxTeacher(ForeignTeacher):
    """A graph of onnxruntime on one thread of the CPU; which of the forms it has is told by its inputs.

    A waveform: one input of a free length. Frames of a waveform: the first input has as many samples as a
    frame, the others are states (FastEnhancer's `wav_in`, sedistill's `stream`). Frames of spectra: the first
    input is (1, bins, 1, 2) in any order that ends in 2 (GTCRN as sherpa-onnx takes it, DPDFNet), whose
    transform its metadata or `stft` say. States begin at zero, or as the metadata say, and come back as the
    outputs after the first. With states, memory does not grow with a clip, but for its own samples.
    """

    def __init__(self, settings: TeacherFrom) -> None:
        self.path = Path(str(settings.onnx))
        file = file_hash(self.path)
        self.session, facts = _session(self.path)
        self.inputs, self.outputs = (
            [
                Port(one.name, tuple(size if isinstance(size, int) else None for size in one.shape))
                for one in ports
            ]
            for ports in (self.session.get_inputs(), self.session.get_outputs())
        )
        try:
            begun = None if settings.states == "zeros" else _dpdfnet_state(facts)
            rate = settings.rate or int(facts.get("sample_rate") or 0)
        except ValueError as error:
            raise UserError(f"{self.path}: its metadata cannot be read ({error}).") from None
        self.stft = settings.stft or self._stft_of(facts)
        known = {"sedistill_form", "model_type"} & facts.keys() or self.inputs[0].name == "wav_in"
        self._refuse_unknown(bool(known) or begun is not None or settings.states == "zeros")
        if not rate:
            raise UserError(f"{self.path} does not say its rate; state rate, in Hz.")
        self.states = [
            np.zeros([size if isinstance(size, int) else 1 for size in one.shape], _dtype(one.type))
            for one in self.session.get_inputs()[1:]
        ]
        if begun is not None:
            self.states = [begun]
        facts_of_it = {
            "kind": "onnx",
            "file": file,
            "rate": rate,
            "stft": self.stft and self.stft.model_dump(),
            **({"states": settings.states} if settings.states else {}),
        }
        super().__init__(settings.name, facts_checksum(facts_of_it), rate)

    @property
    def _of_spectra(self) -> bool:
        first = self.inputs[0].shape
        return len(first) >= 3 and first[-1] == 2

    def _refuse_unknown(self, states_are_known: bool) -> None:
        """Raises UserError, with what the graph has, for a graph that is of none of the forms."""
        taken, made = ("; ".join(map(str, side)) for side in (self.inputs, self.outputs))
        has_states = len(self.inputs) > 1
        first, given = self.inputs[0].shape, self.outputs[0].shape
        why = None
        if self._of_spectra and self.stft is None:
            why = "it takes spectra: state stft, with n_fft, hop_length and window"
        elif self._of_spectra and self.stft and self.stft.n_fft // 2 + 1 not in first:
            why = f"none of its sizes is the {self.stft.n_fft // 2 + 1} bins of the transform"
        elif not self._of_spectra and any(size not in (1, None) for size in first[:-1]):
            why = "it takes neither one waveform nor a spectrum"
        elif len(self.outputs) != len(self.inputs) or len(given) != len(first):
            why = "it does not give back what it takes"
        elif has_states and not states_are_known and [one.name for one in self.inputs] == DPDFNET:
            why = (
                "it is an early export of DPDFNet, whose metadata do not say with what its state begins; "
                "take a newer one, or state states: zeros"
            )
        elif has_states and not states_are_known:
            why = "if all inputs after the first are states that begin at zero, state states: zeros"
        elif not has_states and not self._of_spectra and first[-1] is not None:
            why = f"it takes {first[-1]} samples at a time and keeps no states; export it with a free length"
        if why:
            raise UserError(
                f"{self.path} is no denoiser that is known here: {why}; its inputs are {taken}, its outputs "
                f"{made}. What can be stated: rate, stft (n_fft, hop_length, window_length, window) and "
                f"states: zeros, as in '{{onnx: {self.path}, rate: 16000}}'."
            )

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        try:
            if self._of_spectra:
                return self._through_spectra(noisy)
            size = self.inputs[0].shape[-1]
            if size is None:
                return self._run([noisy.reshape(self._shape(len(noisy)))])[0]
            return self._in_frames(noisy, size)
        except UserError:
            raise
        except Exception as error:  # whatever the runtime or the graph's shapes object to
            raise UserError(f"{self.path} fails in onnxruntime: {first_line(error)}") from None

    def _run(self, arrays: list[NDArray]) -> list[NDArray]:
        names = [port.name for port in self.inputs]
        return self.session.run(None, dict(zip(names, arrays, strict=True)))

    def _refuse_another_size(self, made: NDArray, size: int) -> None:
        if made.size != size:
            raise UserError(
                f"{self.path} gives shape {made.shape} for {size} values; it must give one channel, as long "
                "as its input."
            )

    def _shape(self, samples: int) -> list[int]:
        return [1] * (len(self.inputs[0].shape) - 1) + [samples]

    def _in_frames(self, noisy: Wave, size: int) -> Wave:
        states, output, shape = self.states, np.empty_like(noisy), self._shape(size)
        for start in range(0, len(noisy), size):
            frame = noisy[start : start + size]
            made, *states = self._run([np.pad(frame, (0, size - len(frame))).reshape(shape), *states])
            self._refuse_another_size(made, size)
            output[start : start + size] = made.reshape(-1)[: len(frame)]
        return output

    def _through_spectra(self, noisy: Wave) -> Wave:
        stft = self.stft
        assert stft is not None
        spectra = spectra_of(noisy, stft)
        return wave_of(self._one_by_one(spectra) if self.states else self._at_once(spectra), stft, len(noisy))

    def _one_by_one(self, spectra: Iterable[NDArray]) -> Iterator[NDArray]:
        states, shape = self.states, [size or 1 for size in self.inputs[0].shape]
        for spectrum in spectra:
            output, *states = self._run([spectrum.reshape(shape), *states])
            self._refuse_another_size(output, spectrum.size)
            yield output.reshape(spectrum.shape)

    def _at_once(self, spectra: Iterable[NDArray]) -> NDArray:
        frames = np.stack(list(spectra))  # (N, bins, 2)
        sizes, bins = self.inputs[0].shape[1:], frames.shape[1]
        if None not in sizes:  # of one frame, and without a memory
            return np.stack(list(self._one_by_one(frames)))
        frames_first = sizes.index(None) < sizes.index(bins)
        given = frames if frames_first else frames.swapaxes(0, 1)
        shape = [len(frames) if size is None else size for size in sizes]
        made = self._run([given.reshape(1, *shape)])[0]
        self._refuse_another_size(made, given.size)
        made = made.reshape(given.shape)
        return made if frames_first else made.swapaxes(0, 1)

    def _stft_of(self, facts: dict[str, str]) -> StftSettings | None:
        """From the metadata that sherpa-onnx asks for; of DPDFNet it is known. Raises UserError."""
        if not {"n_fft", "hop_length"} <= facts.keys():
            bins = next((size for size in self.inputs[0].shape[::-1][1:] if size not in (1, None)), None)
            if not set(STATE_BEGINS) <= facts.keys() or bins is None:
                return None
            return StftSettings(n_fft=2 * bins - 2, hop_length=bins - 1, window="vorbis")
        default = "vorbis" if set(STATE_BEGINS) <= facts.keys() else "hann_sqrt"
        settings = {
            "n_fft": facts["n_fft"],
            "hop_length": facts["hop_length"],
            "window_length": facts.get("window_length", facts["n_fft"]),
            "window": facts.get("window_type", default),
        }
        return check_settings(StftSettings, settings, f"{self.path}, its metadata; state stft")


def _session(path: Path) -> tuple[Any, dict[str, str]]:
    session = open_onnx_model(path, "teachers")  # on one thread: clips are what runs in parallel
    if not session.get_inputs() or not session.get_outputs():
        raise UserError(f"{path} is no denoiser: it takes or gives nothing.")
    return session, dict(session.get_modelmeta().custom_metadata_map)


def _dtype(kind: str) -> Any:
    names = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
    return names.get(kind, np.float32)


def _dpdfnet_state(facts: dict[str, str]) -> NDArray[np.float32] | None:
    """With what DPDFNet's state begins: two normalizations, and zeros; None where no metadata say it."""
    if not {"state_size", *STATE_BEGINS} <= facts.keys():
        return None
    begins = [float(value) for name in STATE_BEGINS for value in facts[name].split(",") if value.strip()]
    state = np.zeros(int(facts["state_size"]), np.float32)
    state[: len(begins)] = begins
    return state
