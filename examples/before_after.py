"""Draws docs/before-after.svg: noisy, enhanced and clean speech, by the default ready-made network.

    python examples/before_after.py [--model NAME] [--output docs/before-after.svg]

Speech and noise are made on the spot (the extra `demo`).
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import sedistill
from sedistill.audio import levels
from sedistill.audio.combine import mix_at_snr
from sedistill.common.report.figures import standing_alone
from sedistill.common.report.side_by_side import ClipPanel, side_by_side_svg
from sedistill.workflows.demo.noises import noise
from sedistill.workflows.demo.speech import Utterance, speak

RATE, SNR_DB = 16_000, 5.0
SENTENCE = "We counted forty geese on the frozen lake this morning."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="fastenhancer-b")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "docs/before-after.svg")
    options = parser.parse_args()
    noisy, clean = mixture()
    enhanced = sedistill.enhance(options.model, noisy, RATE)
    panels = [
        panel(name, samples) for name, samples in (("noisy", noisy), ("enhanced", enhanced), ("clean", clean))
    ]
    options.output.write_text(standing_alone(side_by_side_svg("Before and after", panels, RATE)), "utf-8")


def mixture() -> tuple[np.ndarray, np.ndarray]:
    """Noisy and clean speech (T,)."""
    clean = speak([Utterance(SENTENCE, "en+f2", 160, 50)], seed=0)[0].astype(np.float32) / 32768
    rain = noise("rain", np.random.default_rng(0), len(clean), RATE)
    known = levels.active_level_db(clean, RATE), levels.active_level_db(rain, RATE)
    noisy, clean, _ = mix_at_snr(clean, rain, SNR_DB, -26.0, *known)
    return noisy, clean


def panel(name: str, samples: np.ndarray) -> ClipPanel:
    spectrum = sedistill.Stft()(torch.from_numpy(samples)[None])[0].abs()
    return ClipPanel(name, samples, (20 * spectrum.clamp(min=1e-6).log10()).numpy())


if __name__ == "__main__":
    main()
