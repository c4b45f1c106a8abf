"""One waveform through DeepFilterNet3, a block of frames after the other."""

import numpy as np

from sedistill.teachers.deepfilternet.archive import GRAPHS, Archive
from sedistill.teachers.deepfilternet.features import Features, Floats, Spectra, band_widths
from sedistill.teachers.deepfilternet.stateful_graph import StatefulGraph
from sedistill.teachers.framed_stft import window_of
from sedistill.teachers.teacher_settings import StftSettings

BLOCK = 500
"""Frames at a time: enough for speed, and not much memory."""


class Network:
    """What all waveforms share. name: for messages."""

    def __init__(self, archive: Archive, name: str) -> None:
        self.archive = archive
        self.widths = band_widths(archive)
        self.encoder, self.gains, self.filters = (StatefulGraph(archive.graphs[one], name) for one in GRAPHS)
        stft = StftSettings(n_fft=archive.window, hop_length=archive.frame, window="vorbis")
        self.window = window_of(stft).astype(np.float32)


class Passage:
    """One waveform on its way through: all that is remembered from one block to the next.

    left: so much of the noisy spectrum stays in the output, 0 to 1.
    """

    def __init__(self, network: Network, left: float) -> None:
        archive = network.archive
        self.network, self.archive, self.left = network, archive, np.float32(left)
        self.features = Features(archive, network.widths)
        self.encoder, self.gains, self.filters = (
            dict(graph.begin) for graph in (network.encoder, network.gains, network.filters)
        )
        self.last = np.zeros((1, archive.frame), np.float32)
        self.past = np.zeros((archive.taps - 1, archive.bins), np.complex64)
        self.owed = np.zeros((1, archive.frame), np.float32)

    def __call__(self, frames: Floats) -> Floats:
        """All frames (N, frame), to as many, late by one and the longest lookahead."""
        output = np.empty_like(frames)
        for first in range(0, len(frames), BLOCK):
            block = slice(first, first + BLOCK)
            output[block] = self._waves(self._cleaned(self._spectra(frames[block])))
        return output

    def _spectra(self, frames: Floats) -> Spectra:
        """(N, frame) to (N, bins), each of a frame and the one before it."""
        before = np.concatenate([self.last, frames[:-1]])
        self.last = frames[-1:]
        windowed = np.concatenate([before, frames], axis=1) * self.network.window
        return np.fft.rfft(windowed, axis=1).astype(np.complex64) / np.float32(self.archive.window)

    def _cleaned(self, spectra: Spectra) -> Spectra:
        """Gains for bands everywhere; for low bins filters over frames instead."""
        archive, network = self.archive, self.network
        told = network.encoder(self.features(spectra), self.encoder)
        gains = network.gains(told, self.gains)["m"][0, 0]
        taps = _complex(network.filters(told, self.filters)["coefs"][0])
        known = np.concatenate([self.past, spectra])

        def late(frames: int) -> Spectra:
            first = len(self.past) - frames
            return known[first : first + len(spectra)]

        cleaned = late(archive.gains_lookahead) * gains.repeat(network.widths, axis=1)
        low = slice(archive.filtered_bins)
        cleaned[:, low] = sum(
            late(len(self.past) - tap)[:, low] * taps[..., tap] for tap in range(archive.taps)
        )
        cleaned = (1 - self.left) * cleaned + self.left * late(archive.lookahead)
        self.past = known[len(spectra) :]
        return cleaned

    def _waves(self, spectra: Spectra) -> Floats:
        """(N, bins) to (N, frame) by overlap-add."""
        waves = np.fft.irfft(spectra, axis=1).astype(np.float32) * self.archive.window * self.network.window
        begun, owed = np.split(waves, 2, axis=1)
        output = begun + np.concatenate([self.owed, owed[:-1]])
        self.owed = owed[-1:]
        return output


def _complex(pairs: Floats) -> Spectra:
    """(frames, bins, 2 taps) to (frames, bins, taps)."""
    return np.ascontiguousarray(pairs).view(np.complex64)
