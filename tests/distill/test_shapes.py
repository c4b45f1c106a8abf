"""Signals in the forms of other people's loops give the values of the plain forms."""

import pytest
import torch
from torch import Tensor

from sedistill.audio.spectrum import Stft
from sedistill.distill import BIN_LOSSES
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.patches import MultiScalePatches
from sedistill.distill.shapes import spectra_of
from sedistill.distill.signal_objective import SignalObjective
from tests.distill.signal_objectives import EVERY_SIGNAL_OBJECTIVE, needed, some_signals

NAMES = [f"{number}-{type(one).__name__}" for number, one in enumerate(EVERY_SIGNAL_OBJECTIVE)]
SIGNALS = some_signals(batch=6)
WAVES = tuple(SIGNALS[name] for name in ("student", "teacher", "clean"))


def as_channels(wave: Tensor, channels: int) -> Tensor:
    return wave.unflatten(0, (-1, channels))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("objective", EVERY_SIGNAL_OBJECTIVE, ids=NAMES)
def test_channels_of_waveforms_are_clips(objective: SignalObjective, channels: int) -> None:
    signals = needed(objective, SIGNALS)
    inner = {name: as_channels(wave, channels) for name, wave in signals.items()}
    assert torch.equal(objective(**inner), objective(**signals))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("loss", BIN_LOSSES)
def test_dispatch_takes_channels_of_waveforms(loss: str, channels: int) -> None:
    kd = DISPatch(BIN_LOSSES[loss](), MultiScalePatches(), keep=0.5)
    inner = [as_channels(wave, channels) for wave in WAVES]
    assert torch.equal(kd(*inner), kd(*WAVES))
    assert torch.equal(kd.explain(*inner).selected, kd.explain(*WAVES).selected)


@pytest.mark.parametrize("loss", BIN_LOSSES)
def test_spectrograms_may_be_real_and_have_channels(loss: str) -> None:
    spectra = [Stft()(wave) for wave in WAVES]
    forms = {
        "real": [torch.view_as_real(one) for one in spectra],
        "channels": [as_channels(one, 2) for one in spectra],
        "real channels": [torch.view_as_real(as_channels(one, 1)) for one in spectra],
        "real with another order in memory": [
            torch.stack([one.real, one.imag], dim=1).movedim(1, -1) for one in spectra
        ],
    }
    plain = BIN_LOSSES[loss]()
    kd = DISPatch(plain, keep=0.5)
    for form, inner in forms.items():
        torch.testing.assert_close(plain(*inner[:2]), plain(*spectra[:2]), msg=form)
        torch.testing.assert_close(kd.on_spectra(*inner), kd.on_spectra(*spectra), msg=form)


def test_the_gradient_has_the_form_of_the_signal() -> None:
    student = torch.view_as_real(Stft()(WAVES[0])).clone().requires_grad_()
    DISPatch(BIN_LOSSES["dfkd"](), keep=0.5).on_spectra(student, *map(Stft(), WAVES[1:])).backward()
    assert student.grad is not None
    assert student.grad.shape == student.shape
    wave = WAVES[0][:, None].clone().requires_grad_()
    EVERY_SIGNAL_OBJECTIVE[0](wave, WAVES[1]).backward()
    assert wave.grad is not None


def test_channels_are_no_clips_of_another_batch() -> None:
    wave = torch.zeros(2, 1, 800)
    for objective in (DISPatch(BIN_LOSSES["l2"]()), EVERY_SIGNAL_OBJECTIVE[0]):
        with pytest.raises(ValueError, match=r"\(2, 1, 800\)"):
            objective(wave, wave.reshape(1, 2, 800))


@pytest.mark.parametrize("shape", [(800, 2), (800, 1), (3, 800, 2)])
def test_samples_before_channels_are_refused(shape: tuple[int, ...]) -> None:
    wave = torch.zeros(shape)
    for objective in (DISPatch(BIN_LOSSES["l2"]()), EVERY_SIGNAL_OBJECTIVE[0]):
        with pytest.raises(ValueError, match=r"the order is \(batch, samples\)"):
            objective(wave, wave, wave)


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 7), (2, 5, 7, 3)])
def test_what_is_no_spectrogram_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a spectrogram is complex"):
        spectra_of(torch.zeros(shape))


@pytest.mark.parametrize("objective", [DISPatch(BIN_LOSSES["l2"]()), *EVERY_SIGNAL_OBJECTIVE], ids=repr)
def test_what_is_no_signal_is_refused_wherever_it_stands(objective: SignalObjective | DISPatch) -> None:
    """An integer teacher gave the losses on waveforms a value, 32768 times too large."""
    signals = needed(objective, SIGNALS)  # type: ignore[arg-type]
    for name, wave in signals.items():
        for wrong, error, words in (
            ((32767 * wave).to(torch.int16), TypeError, "floating point with full scale 1.0, not int16"),
            (torch.complex(wave, wave), TypeError, "a waveform is real"),
            (wave.numpy(), TypeError, "a torch tensor, not ndarray"),
            (wave[..., :0], ValueError, "holds nothing"),
            (wave[:0], ValueError, "holds nothing"),
        ):
            with pytest.raises(error, match=words):
                objective(**{**signals, name: wrong})


@pytest.mark.parametrize(
    "objective",
    [*(DISPatch(loss(), MultiScalePatches(), 0.5) for loss in BIN_LOSSES.values()), *EVERY_SIGNAL_OBJECTIVE],
    ids=repr,
)
def test_signals_may_have_another_precision_than_the_student(
    objective: SignalObjective | DISPatch,
) -> None:
    """Recordings read by soundfile, or made by numpy, are float64 unless one says so."""
    signals = needed(objective, SIGNALS)  # type: ignore[arg-type]
    wanted = objective(**signals)
    wide = {name: wave.double() for name, wave in signals.items()}
    for mixed in ({**wide, "student": signals["student"]}, {**signals, "student": wide["student"]}):
        torch.testing.assert_close(objective(**mixed).float(), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", BIN_LOSSES)
def test_targets_may_have_another_precision_than_the_estimate(loss: str) -> None:
    estimate, target = (Stft()(wave) for wave in WAVES[:2])
    plain = BIN_LOSSES[loss]()
    for one, other in ((estimate, target.cdouble()), (estimate.cdouble(), target)):
        found = plain(one, other)
        assert found.dtype == one.real.dtype
        torch.testing.assert_close(found.float(), plain(estimate, target), rtol=1e-4, atol=1e-4)


def test_no_teacher_among_several_is_said() -> None:
    with pytest.raises(ValueError, match="needs the teacher signal, but got none by name"):
        DISPatch(BIN_LOSSES["l2"](), keep=0.5)(WAVES[0], {}, WAVES[2])
    with pytest.raises(TypeError, match="a torch tensor, not list"):
        DISPatch(BIN_LOSSES["l2"]()).on_spectra([1.0], WAVES[1])  # type: ignore[arg-type]
