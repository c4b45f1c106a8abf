"""From the stream's rate to the network's and back, by soxr's stream resampler, and how late that is."""

import numpy as np
import soxr

from sedistill.inference.streaming.pass_through import Passing, Samples

QUALITIES = ("VHQ", "HQ", "MQ", "LQ")


class Rate:
    """One change of rate, (channels, samples) to (channels, samples); none where the rates are equal."""

    def __init__(self, from_rate: int, to_rate: int, channels: int, quality: str) -> None:
        self.stream: soxr.ResampleStream | None = None
        if from_rate != to_rate:
            self.stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality=quality)

    def take(self, samples: Samples, last: bool = False) -> Samples:
        if self.stream is None:
            return samples
        converted = self.stream.resample_chunk(np.ascontiguousarray(samples.T), last=last)
        return converted.reshape(-1, samples.shape[0]).T


def latency_seconds(rate: int, network_rate: int, network: Passing, quality: str) -> float:
    """How long the enhanced form of a sample waits, at most, with chunks of any size; theirs not counted.

    soxr works in blocks of its own, whose sizes depend on both rates, so it is tried out on silence.
    """
    if rate == network_rate:
        return network.latency_samples / rate
    there, back = Rate(rate, network_rate, 1, quality), Rate(network_rate, rate, 1, quality)
    chunk = np.zeros((1, max(1, rate // 1000)), np.float32)
    delay, step = network.latency_samples - network.size, network.size
    taken = arrived = passed = given = longest = 0
    for _ in range(max(500, 4000 * network.latency_samples // network_rate)):
        taken += chunk.shape[1]
        arrived += there.take(chunk).shape[1]
        ready = max(0, (arrived - delay) // step * step)
        given += back.take(np.zeros((1, ready - passed), np.float32)).shape[1]
        passed = ready
        longest = max(longest, taken - given)
    return (longest + chunk.shape[1]) / rate
