import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill import DISPatch, MagnitudeL2, Stft
from sedistill.common.errors import UserError
from sedistill.distill.subband import SubbandKD

from .signal_objectives import BANDS, some_signals

L2 = DISPatch(MagnitudeL2(), keep=1.0)
EVEN = Stft(window_length=510)  # 256 bins, to be cut into equal parts


def test_where_bands_begin() -> None:
    assert SubbandKD().bin_ranges == [(0, 64), (64, 128), (128, 192), (192, 257)]
    assert SubbandKD(bands=(2000, 4000, 6000)).bin_ranges == SubbandKD().bin_ranges
    # Bins are 31.25 Hz apart: 1000 Hz is bin 32, 1010 Hz lies between bins 32 and 33.
    assert SubbandKD(bands=(1000,)).bin_ranges == [(0, 32), (32, 257)]
    assert SubbandKD(bands=(1010,)).bin_ranges == [(0, 33), (33, 257)]
    assert SubbandKD(bands=(3000,), sample_rate=48_000).bin_ranges == [(0, 32), (32, 257)]


@given(bands=st.integers(1, 257))
def test_every_bin_has_one_band_and_bands_are_as_equal_as_can_be(bands: int) -> None:
    ranges = SubbandKD(bands=bands).bin_ranges
    assert [f for first, end in ranges for f in range(first, end)] == list(range(257))
    sizes = [end - first for first, end in ranges]
    assert len(sizes) == bands
    assert max(sizes) - min(sizes) <= 1 + (bands == 1)


def slow(objective: SubbandKD, student: torch.Tensor, targets: list[torch.Tensor]) -> float:
    """Of one clip, from complex spectra [bin][frame], one target for each band."""
    used = objective.bands_used or range(len(targets))
    losses = []
    for band in used:
        first, end = objective.bin_ranges[band]
        errors = [
            (abs(s) - abs(t)) ** 2
            for f in range(first, end)
            for s, t in zip(student[f].tolist(), targets[band][f].tolist(), strict=True)
        ]
        losses.append(sum(errors) / len(errors))
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    "objective",
    [
        SubbandKD(bands=BANDS),
        SubbandKD(bands=(250, 4000), bands_used=(2, 0)),
        SubbandKD("teacher"),
        SubbandKD("clean"),
    ],
    ids=repr,
)
def test_agrees_with_the_slow_version(objective: SubbandKD) -> None:
    signals = some_signals(samples=500, dtype=torch.float64)
    spectra = {name: Stft()(signals[name]) for name in ("student", "teacher", "clean")}
    of_bands = [Stft()(one) for one in signals["band_teachers"].unbind(dim=1)]
    expected = []
    for clip in range(2):
        if objective.target == "band_teachers":
            targets = [spectrum[clip] for spectrum in of_bands]
        else:
            targets = [spectra[objective.target][clip]] * len(objective.bin_ranges)
        expected.append(slow(objective, spectra["student"][clip], targets))
    assert objective(**signals).item() == pytest.approx(sum(expected) / 2, rel=1e-9)


def test_one_band_or_equal_bands_with_one_teacher_are_plain_l2() -> None:
    signals = some_signals(dtype=torch.float64)
    student, teacher = signals["student"], signals["teacher"]
    torch.testing.assert_close(SubbandKD("teacher", bands=1)(student, teacher), L2(student, teacher))
    torch.testing.assert_close(
        SubbandKD(bands=1)(student, band_teachers=teacher[:, None]), L2(student, teacher)
    )
    plain = DISPatch(MagnitudeL2(), keep=1.0, stft=EVEN)(student, teacher)
    for bands in (2, 4, 8):
        torch.testing.assert_close(SubbandKD("teacher", bands=bands, stft=EVEN)(student, teacher), plain)


def test_equal_teachers_are_one_teacher() -> None:
    signals = some_signals(dtype=torch.float64)
    student, teacher = signals["student"], signals["teacher"]
    same = teacher[:, None].expand(-1, 4, -1)
    torch.testing.assert_close(
        SubbandKD()(student, band_teachers=same), SubbandKD("teacher")(student, teacher)
    )


def test_each_teacher_has_a_say_in_its_own_band_only() -> None:
    signals = some_signals(dtype=torch.float64)
    for band in range(BANDS):
        alone = SubbandKD(bands=BANDS, bands_used=(band,))
        for other in range(BANDS):
            louder = signals["band_teachers"].clone()
            louder[:, other] *= 2
            unchanged = alone(signals["student"], band_teachers=louder) == alone(**signals)
            assert unchanged == (other != band)


def test_a_teacher_is_free_outside_its_band() -> None:
    signals = some_signals(dtype=torch.float64)
    tone = 0.1 * torch.sin(2 * torch.pi * 1000 / 16_000 * torch.arange(1200, dtype=torch.float64))
    tone *= torch.hann_window(1200, dtype=torch.float64)  # no edges, which would sound at all frequencies
    changes = []
    for band in range(BANDS):
        hummed = signals["band_teachers"].clone()
        hummed[:, band] += tone
        loss = SubbandKD(bands=BANDS)
        changes.append(abs(loss(signals["student"], band_teachers=hummed) - loss(**signals)).item())
    assert changes[0] > 0.1  # 1 kHz lies in the lowest band
    assert max(changes[1:]) < 1e-5


def test_gradient_is_in_the_used_band_alone() -> None:
    signals = some_signals(batch=1, dtype=torch.float64)
    objective = SubbandKD("clean", bands_used=(1,))
    student = signals["student"].requires_grad_()
    objective(student, clean=signals["clean"]).backward()
    assert student.grad is not None
    energy = torch.fft.rfft(student.grad[0]).abs().square()
    frequency = torch.fft.rfftfreq(1200, 1 / 16_000)
    inside = (frequency > 1900) & (frequency < 4100)
    assert energy[inside].sum() > 0.99 * energy.sum()


def test_refusals() -> None:
    assert SubbandKD().needs == ("student", "band_teachers")
    assert SubbandKD("clean").needs == ("student", "clean")
    for bands in (0, -1, 258, (0,), (8000,), (4000, 1000), (1001, 1002), (float("nan"),)):
        with pytest.raises(UserError, match=r"bands = .* is not possible; .*257 bins up to 8000 Hz"):
            SubbandKD(bands=bands)
    for used in ((), (4,), (-1,), (1, 1)):
        with pytest.raises(UserError, match=r"bands_used = .* from 0 to 3"):
            SubbandKD(bands_used=used)
    with pytest.raises(UserError, match="did you mean band_teachers"):
        SubbandKD("band_teacher")
    signals = some_signals()
    with pytest.raises(
        ValueError, match=r"band_teachers \(2, 3, 1200\) does not fit .*\(2, 4, 1200\) expected"
    ):
        SubbandKD()(**signals)
