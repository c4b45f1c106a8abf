"""How far an estimate is from clean speech to the ear of PESQ, with a gradient.

ITU-T P.862 with the filter of P.862.2 (wide band), as far as a gradient can follow: no delay between the
signals is searched for, no bad stretch is heard a second time, and the gain of a frame is smoothed with that
of the one before alone. It is what torch-pesq 0.1.2 computes, the term in FastEnhancer's loss; that package
rests on others that have no release for today's torch.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from sedistill.audio.pesq_bands import BANDS, Bands
from sedistill.audio.spectrum import at_least_float32

PESQ_RATE = 16_000  # Hz; the bands hold for no other
WINDOW, HOP = 512, 256  # samples
SPEECH_BAND = 325.0, 3250.0  # Hz, in which levels are compared
LEVEL = 1e7  # power of either signal in that band
QUIETEST = 1e-10  # power: a signal below -100 dB is not brought up to the level of speech
FADE = 15  # samples at either end
INPUT_FILTER = (2.740826, -5.4816519, 2.740826), (1.0, -1.9444777, 0.94597794)  # P.862.2: over, under
RING = 2048  # samples until the filters, here products of spectra, have died away
INTERVAL = 20, 10  # frames that are judged together, and from one such interval to the next
LEAST = 1e-6  # disturbance of a frame: to the sixth power it is still a number


def pesq_distance(estimate: Tensor, clean: Tensor) -> Tensor:
    """0.1 of the symmetric plus 0.0309 of the asymmetric disturbance, (B, T) each at 16 kHz -> (B,).

    It is what PESQ takes off 4.5 before the scale is bent to 1..4.64, so lower is better. The levels of both
    signals are made equal first. 0 where the clean signal is exact silence. In float32 at least, also under
    autocast. Raises ValueError when the shapes differ or are not (B, T).

    >>> clean = torch.randn(2, 16_000)
    >>> pesq_distance(0.5 * clean, clean).round(decimals=3)
    tensor([0., 0.])
    """
    if estimate.ndim != 2 or estimate.shape != clean.shape:
        raise ValueError(
            f"estimate {tuple(estimate.shape)} and clean {tuple(clean.shape)} must both be (batch, samples)"
        )
    with torch.autocast(estimate.device.type, enabled=False):
        bands = _bands(estimate.device, at_least_float32(estimate).dtype)
        heard, wanted = (_band_powers(at_least_float32(part), bands) for part in (estimate, clean))
        wanted = wanted * _filter_between(wanted, heard, bands)
        heard = heard * _gain_between(heard, wanted, bands)
        symmetric, asymmetric = _disturbances(heard, wanted, bands)
        distance = 0.1 * _over_time(symmetric) + 0.0309 * _over_time(asymmetric)
        return torch.where((clean != 0).any(dim=1), distance, 0.0)


def _band_powers(waveform: Tensor, bands: Bands) -> Tensor:
    """(B, T) to powers (B, frames, bands) at the level and through the filter with which PESQ listens."""
    waveform = waveform * (LEVEL / _speech_power(waveform).clamp(min=QUIETEST)).sqrt()[:, None]
    waveform = _input_filter(waveform * _fades(waveform))
    length = max(WINDOW, waveform.shape[1] + waveform.shape[1] % HOP)
    waveform = functional.pad(waveform, (0, length - waveform.shape[1]))
    window = torch.hann_window(WINDOW, dtype=waveform.dtype, device=waveform.device)
    spectrum = torch.stft(waveform, WINDOW, HOP, window=window, center=False, return_complex=True)
    powers = spectrum.real.square() + spectrum.imag.square()
    return powers.transpose(1, 2)[..., :-1] @ bands.of_bins


def _speech_power(waveform: Tensor) -> Tensor:
    """(B, T) -> (B,), through a Butterworth filter of order 5 over the band of speech."""
    length = waveform.shape[1] + RING
    spectrum = torch.fft.rfft(waveform, n=length)
    energies = (spectrum.real.square() + spectrum.imag.square()) * _passed(length, waveform)
    # Twice, for the mirror images. 5,120 samples and 4.7 % more than there are is how the standard's own
    # program counts, on whose levels its thresholds rest.
    return 2 * energies.sum(dim=1) / length / (waveform.shape[1] + 5120) / 1.04684


def _passed(length: int, like: Tensor) -> Tensor:
    """Share of the power of each bin that passes that filter (its bilinear transform), (length // 2 + 1,)."""
    bins = torch.arange(length // 2 + 1, dtype=torch.float64)
    warped = (torch.pi * bins / length).clamp(max=torch.pi / 2 - 1e-9).tan()
    low, high = (torch.tensor(torch.pi * edge / PESQ_RATE, dtype=torch.float64).tan() for edge in SPEECH_BAND)
    away = (warped.square() - low * high) / (warped * (high - low))
    return (1 / (1 + away.pow(10))).to(like)


def _input_filter(waveform: Tensor) -> Tensor:
    length = waveform.shape[1] + RING
    over, under = (torch.tensor(part, dtype=waveform.dtype, device=waveform.device) for part in INPUT_FILTER)
    response = torch.fft.rfft(over, n=length) / torch.fft.rfft(under, n=length)
    return torch.fft.irfft(torch.fft.rfft(waveform, n=length) * response, n=length)[:, : waveform.shape[1]]


def _fades(waveform: Tensor) -> Tensor:
    """Factors (T,): up to 1 within the first samples, down from it within the last."""
    samples = torch.arange(1, waveform.shape[1] + 1, dtype=waveform.dtype, device=waveform.device)
    up = (samples / (FADE + 1)).clamp(max=1)
    return up * up.flip(0)


def _filter_between(wanted: Tensor, heard: Tensor, bands: Bands) -> Tensor:
    """What a filter did to each band in frames with speech, within 20 dB: factors (B, 1, bands)."""
    speech = _audible(wanted, bands, 100) >= LEVEL
    means = [
        (powers * (powers > 100 * bands.threshold) * speech[..., None]).mean(dim=1)
        for powers in (heard, wanted)
    ]
    return ((means[0] + 1000) / (means[1] + 1000)).clamp(0.01, 100)[:, None]


def _gain_between(heard: Tensor, wanted: Tensor, bands: Bands) -> Tensor:
    """Brings each frame to the power that is wanted, by a fifth as the frame before: (B, frames, 1)."""
    gains = (_audible(wanted, bands) + 5000) / (_audible(heard, bands) + 5000)
    gains = torch.cat([gains[:, :1], 0.8 * gains[:, 1:] + 0.2 * gains[:, :-1]], dim=1)
    return gains.clamp(3e-4, 5)[..., None]


def _disturbances(heard: Tensor, wanted: Tensor, bands: Bands) -> tuple[Tensor, Tensor]:
    """Of each frame, (B, frames) each: symmetric, and asymmetric, in which what was added counts."""
    loud, loud_wanted = _loudness(heard, bands), _loudness(wanted, bands)
    apart = loud - loud_wanted
    apart = apart.sign() * (apart.abs() - 0.25 * torch.minimum(loud, loud_wanted)).clamp(min=0)
    added = ((heard + 50) / (wanted + 50)).pow(1.2)
    added = torch.where(added < 3, 0.0, added).clamp(max=12)
    weighted = (apart * bands.width)[..., 1:]
    total = bands.width[1:].sum()
    symmetric = (total * weighted.square().sum(dim=2)).clamp(min=LEAST**2).sqrt()
    asymmetric = (weighted * added[..., 1:]).abs().sum(dim=2)
    of_loud_frames = ((_audible(wanted, bands) + 1e5) / LEVEL).pow(0.04)
    return symmetric / of_loud_frames, asymmetric / of_loud_frames


def _loudness(powers: Tensor, bands: Bands) -> Tensor:
    """Zwicker's law, in sone; 0 below the threshold of hearing."""
    louder = (0.5 + 0.5 * powers / bands.threshold).pow(bands.exponent) - 1
    return torch.where(
        powers <= bands.threshold, 0.0, 0.1866055 * (2 * bands.threshold).pow(bands.exponent) * louder
    )


def _audible(powers: Tensor, bands: Bands, times: float = 1) -> Tensor:
    """Power of each frame in bands that are so many times above the threshold of hearing, (B, frames)."""
    return (powers * (powers > times * bands.threshold)).sum(dim=2)


def _over_time(disturbance: Tensor) -> Tensor:
    """(B, frames) -> (B,): the sixth-power mean of each interval, of them the root mean square."""
    size, step = INTERVAL
    disturbance = disturbance.clamp(LEAST, 45)
    intervals = disturbance.unfold(1, min(size, disturbance.shape[1]), step)
    return intervals.pow(6).mean(dim=2).pow(1 / 6).square().mean(dim=1).sqrt()


@cache
def _bands(device: torch.device, dtype: torch.dtype) -> Bands:
    return BANDS.to(device, dtype)
