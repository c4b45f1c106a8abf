"""What DeepFilterNet's networks are told of a spectrum."""

import numpy as np
from numpy.typing import NDArray

from sedistill.teachers.deepfilternet.archive import Archive

Floats = NDArray[np.float32]
Spectra = NDArray[np.complex64]

LEVELS_BEGIN = (-60.0, -90.0)
MAGNITUDES_BEGIN = (1e-3, 1e-4)
"""Of the running means, from the lowest band (dB) or bin to the highest."""
LEVEL_SPREAD = 40.0
TINY_POWER = 1e-10
ERB_WIDTH, ERB_NUMBER = 24.7, 9.265
"""Of a band at 0 Hz, in Hz, and of bands for each factor e of frequency."""


class Features:
    """Levels of bands and spectra of low bins, each over its running mean; goes on from call to call."""

    def __init__(self, archive: Archive, widths: NDArray[np.int64]) -> None:
        self.widths, self.bins, self.keep = widths, archive.filtered_bins, np.float32(archive.forgetting)
        self.levels = np.linspace(*LEVELS_BEGIN, archive.bands, dtype=np.float32)
        self.magnitudes = np.linspace(*MAGNITUDES_BEGIN, archive.filtered_bins, dtype=np.float32)

    def __call__(self, spectra: Spectra) -> dict[str, Floats]:
        """Spectra (frames, bins) to the encoder's two inputs."""
        edges = np.concatenate([[0], np.cumsum(self.widths)[:-1]])
        power = np.add.reduceat(np.abs(spectra) ** 2, edges, axis=1) / self.widths
        levels = (10 * np.log10(power + TINY_POWER)).astype(np.float32)
        low = spectra[:, : self.bins]
        mean_levels, self.levels = self._running(levels, self.levels)
        mean_magnitudes, self.magnitudes = self._running(np.abs(low), self.magnitudes)
        shape = low / np.sqrt(mean_magnitudes)
        return {
            "feat_erb": ((levels - mean_levels) / np.float32(LEVEL_SPREAD))[None, None],
            "feat_spec": np.stack([shape.real, shape.imag])[None],
        }

    def _running(self, values: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """The running mean at every frame, that one included, and after the last."""
        means = np.empty_like(values)
        for value, place in zip((1 - self.keep) * values, means, strict=True):
            mean = np.add(value, self.keep * mean, out=place)
        return means, mean.copy()


def band_widths(archive: Archive) -> NDArray[np.int64]:
    """Bins in each band of the ERB scale, (bands,); they add up to all bins.

    (Moore and Glasberg, "Suggested formulae for calculating auditory-filter bandwidths", 1983.)
    """
    highest = ERB_NUMBER * np.log1p(archive.sample_rate / 2 / (ERB_WIDTH * ERB_NUMBER))
    scale = np.arange(1, archive.bands + 1) * highest / archive.bands
    ends = np.rint(
        ERB_WIDTH * ERB_NUMBER * np.expm1(scale / ERB_NUMBER) * archive.window / archive.sample_rate
    )
    widths, before, owed = [], 0, 0
    for end in ends.astype(int):
        wanted = end - before - owed
        widths.append(max(wanted, archive.least_bins))
        owed = max(archive.least_bins - wanted, 0)
        before = end
    widths[-1] += archive.window // 2 + 1 - sum(widths)
    return np.array(widths, np.int64)
