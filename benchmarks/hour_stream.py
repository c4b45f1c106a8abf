"""An hour of sound through `sedistill.Stream`, in chunks as they come in: what differs, and what grows.

    python benchmarks/hour_stream.py [--minutes 60] [--network fastenhancer-t] [--chunk 320]

The output is compared with the network's on the whole of it, taken a minute at a time with the states
carried over, as an hour at once takes tens of gigabytes; its first minute also with the clip of that minute.
Prints the largest differences, how the process' memory grew, and the real-time factor of CPU time.
"""

import argparse
import resource
import time

import numpy as np
import torch
from numpy.typing import NDArray
from results_csv import RESULTS, write_results

from sedistill.inference.exporting.verification_clip import check_clip
from sedistill.inference.streaming import Stream
from sedistill.models.base import SpeechEnhancer
from sedistill.models.saving import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--network", default="fastenhancer-t")
    parser.add_argument("--chunk", type=int, default=320, help="samples")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = load_model(options.network)
    network.output_gain = 1.0
    row = measured(network, options.minutes, options.chunk)
    print(row)
    write_results([{"network": options.network, **row}], RESULTS / "hour-stream.csv", "1 thread")


@torch.inference_mode()
def measured(network: SpeechEnhancer, minutes: int, chunk: int) -> dict[str, object]:
    minute = 60 * network.sample_rate // chunk * chunk
    stream, states = Stream(network), network.first_states(1)
    late, size = network.delay_samples, network.step_samples
    assert size is not None
    sound = source(network.sample_rate, minute)
    given, wanted = np.zeros(0, np.float32), np.zeros(0, np.float32)
    waiting, worst, cpu, memory = np.zeros(0, np.float32), 0.0, 0.0, []
    for number in range(minutes):
        noisy = sound[number % 2] * np.float32(10 ** (-(number % 7) / 20))
        start = time.process_time()
        pieces = [stream.process(noisy[at : at + chunk]) for at in range(0, minute, chunk)]
        cpu += time.process_time() - start
        waiting = np.concatenate([waiting, noisy])
        whole = len(waiting) // size * size
        output, states = network.step(torch.from_numpy(waiting[None, :whole]), states)
        waiting = waiting[whole:]
        given = np.concatenate([given, *pieces])
        wanted = np.concatenate([wanted, output[0].numpy()[late if number == 0 else 0 :]])
        if number == 0:
            clip = network(torch.from_numpy(noisy)[None])[0].numpy()
            first = float(np.abs(clip[: len(given)] - given).max())
        both = min(len(given), len(wanted))
        worst = max(worst, float(np.abs(given[:both] - wanted[:both]).max()))
        given, wanted = given[both:], wanted[both:]
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {
        "minutes": minutes,
        "chunk": chunk,
        "largest_difference": f"{worst:.1e}",
        "difference_from_the_first_minutes_clip": f"{first:.1e}",
        "memory_mb_after_two_minutes": round(memory[min(1, minutes - 1)]),
        "memory_mb_at_the_end": round(memory[-1]),
        "real_time_factor": round(cpu / (60 * minutes), 4),
    }


def source(rate: int, samples: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two minutes that differ: speech-like sound in noise, and noise alone."""
    noise = 0.02 * np.random.default_rng(0).standard_normal(samples)
    return np.resize(check_clip(rate)[0], samples).astype(np.float32), noise.astype(np.float32)


if __name__ == "__main__":
    main()
