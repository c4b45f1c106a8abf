"""An ONNX file as a teacher: waveforms, or frames of a waveform or of spectra with states."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.common.errors import UserError
from sedistill.common.integrity import facts_checksum, file_hash
from sedistill.teachers.foreign import ForeignTeacher, Wave
from sedistill.teachers.teacher_settings import StftSettings, TeacherFrom


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
    input is (1, bins, 1, 2) in any order that ends in 2 (GTCRN as sherpa-onnx takes it), whose transform its
    metadata or `stft` say. States begin at zero and come back as the outputs after the first.
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
        self.states = [
            np.zeros([size or 1 for size in one.shape], _dtype(one.type))
            for one in self.session.get_inputs()[1:]
        ]
        rate = settings.rate or int(facts.get("sample_rate") or 0)
        if not rate:
            raise UserError(f"{self.path} does not say its rate; state rate, in Hz.")
        self.stft = settings.stft or _stft_of(facts)
        known = "sedistill_form" in facts or "model_type" in facts or self.inputs[0].name == "wav_in"
        self._refuse_unknown(known or settings.states == "zeros")
        facts_of_it = {
            "kind": "onnx",
            "file": file,
            "rate": rate,
            "stft": self.stft and self.stft.model_dump(),
        }
        super().__init__(settings.name, facts_checksum(facts_of_it), rate)

    @property
    def _of_spectra(self) -> bool:
        first = self.inputs[0].shape
        return len(first) >= 3 and first[-1] == 2

    def _refuse_unknown(self, states_are_known: bool) -> None:
        """Raises UserError, with what the graph has, for a graph that is of none of the forms."""
        taken, made = ("; ".join(map(str, side)) for side in (self.inputs, self.outputs))
        first, given = self.inputs[0].shape, self.outputs[0].shape
        why = None
        if self._of_spectra and self.stft is None:
            why = "it takes spectra: state stft, with n_fft, hop_length and window"
        elif self._of_spectra and self.stft and self.stft.n_fft // 2 + 1 not in first:
            why = f"none of its sizes is the {self.stft.n_fft // 2 + 1} bins of the transform"
        elif self._of_spectra and any(size is None for size in first[1:]) and self.states:
            why = "it takes spectra of any length and states as well"
        elif not self._of_spectra and any(size not in (1, None) for size in first[:-1]):
            why = "it takes neither one waveform nor a spectrum"
        elif len(self.outputs) != len(self.inputs) or len(given) != len(first):
            why = "it does not give back what it takes"
        elif self.states and not states_are_known:
            why = "if all inputs after the first are states that begin at zero, state states: zeros"
        elif not self.states and not self._of_spectra and first[-1] is not None:
            why = f"it takes {first[-1]} samples at a time and keeps no states; export it with a free length"
        if why:
            raise UserError(
                f"{self.path} is no denoiser that is known here: {why}; its inputs are {taken}, its outputs "
                f"{made}."
            )

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        try:
            if self._of_spectra:
                return self._through_spectra(noisy)
            size = self.inputs[0].shape[-1]
            if size is None:
                return self._run([noisy.reshape(self._shape(len(noisy)))])[0].reshape(-1)
            return self._in_frames(noisy, size)
        except UserError:
            raise
        except Exception as error:  # whatever the runtime or the graph's shapes object to
            reason = (str(error).strip().splitlines() or ["no reason"])[0]
            raise UserError(f"{self.path} fails in onnxruntime: {reason}") from None

    def _run(self, arrays: list[NDArray]) -> list[NDArray]:
        names = [port.name for port in self.inputs]
        return self.session.run(None, dict(zip(names, arrays, strict=True)))

    def _shape(self, samples: int) -> list[int]:
        return [1] * (len(self.inputs[0].shape) - 1) + [samples]

    def _in_frames(self, noisy: Wave, size: int) -> Wave:
        frames = np.pad(noisy, (0, -len(noisy) % size)).reshape(-1, *self._shape(size))
        states, made = self.states, []
        for frame in frames:
            output, *states = self._run([frame, *states])
            made.append(output.reshape(-1))
        return np.concatenate(made)[: len(noisy)]

    def _through_spectra(self, noisy: Wave) -> Wave:
        stft = self.stft
        assert stft is not None
        spectra = _frames_of(noisy, stft)  # (N, bins, 2)
        sizes, bins = self.inputs[0].shape, stft.n_fft // 2 + 1
        if None in sizes[1:]:  # all frames at once
            in_order = spectra if sizes[1:].index(None) < sizes[1:].index(bins) else spectra.swapaxes(0, 1)
            shape = [len(spectra) if size is None else size for size in sizes[1:]]
            output = self._run([in_order.reshape(1, *shape)])[0].reshape(in_order.shape)
            made = output if in_order is spectra else output.swapaxes(0, 1)
            return _wave_of(made, stft, len(noisy))
        states, frames = self.states, []
        shape = [size or 1 for size in sizes]
        for frame in spectra:
            output, *states = self._run([frame.reshape(shape), *states])
            frames.append(output.reshape(bins, 2))
        return _wave_of(np.stack(frames), stft, len(noisy))


def _session(path: Path) -> tuple[Any, dict[str, str]]:
    try:
        import onnxruntime
    except ImportError:
        raise UserError("onnxruntime is not installed; type: pip install 'sedistill[teachers]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # clips are what runs in parallel
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["no reason"])[0].rpartition(" : ")[2]
        raise UserError(f"{path} is not a model that onnxruntime can run ({reason.rstrip('.')}).") from None
    if not session.get_inputs() or not session.get_outputs():
        raise UserError(f"{path} is no denoiser: it takes or gives nothing.")
    return session, dict(session.get_modelmeta().custom_metadata_map)


def _dtype(kind: str) -> Any:
    names = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
    return names.get(kind, np.float32)


def _stft_of(facts: dict[str, str]) -> StftSettings | None:
    """From the metadata that sherpa-onnx asks for."""
    if not {"n_fft", "hop_length"} <= facts.keys():
        return None
    window = facts.get("window_type", "hann_sqrt")
    return StftSettings.model_validate(
        {
            "n_fft": int(facts["n_fft"]),
            "hop_length": int(facts["hop_length"]),
            "window_length": int(facts.get("window_length", facts["n_fft"])),
            "window": window if window in ("hann", "hann_sqrt") else "hann_sqrt",
        }
    )


def _window(stft: StftSettings) -> NDArray[np.float64]:
    length = stft.window_length or stft.n_fft
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    before = (stft.n_fft - length) // 2
    window = np.pad(hann, (before, stft.n_fft - length - before))
    return np.sqrt(window) if stft.window == "hann_sqrt" else window


def _frames_of(wave: Wave, stft: StftSettings) -> NDArray[np.float32]:
    """Spectra (N, bins, 2) of centred frames, (T,) padded with silence."""
    count = len(wave) // stft.hop_length + 1
    padded = np.pad(wave, (stft.n_fft // 2, stft.n_fft))
    starts = np.arange(count) * stft.hop_length
    frames = padded[starts[:, None] + np.arange(stft.n_fft)] * _window(stft)
    spectra = np.fft.rfft(frames)
    return np.stack([spectra.real, spectra.imag], axis=-1).astype(np.float32)


def _wave_of(spectra: NDArray, stft: StftSettings, samples: int) -> Wave:
    """The waveform (samples,) whose frames are nearest to these, by overlap-add over the squared window."""
    window, size, hop = _window(stft), stft.n_fft, stft.hop_length
    frames = np.fft.irfft(spectra[..., 0] + 1j * spectra[..., 1], n=size) * window
    total = np.zeros(hop * (len(frames) - 1) + size + hop)
    weight = np.full_like(total, 1e-8)
    for number, frame in enumerate(frames):
        place = slice(number * hop, number * hop + size)
        total[place] += frame
        weight[place] += window**2
    start = size // 2
    wave = np.pad(total / weight, (0, samples))
    return wave[start : start + samples].astype(np.float32)
