"""Whether folders hold what they are named for: the ready-made network leaves speech and removes noise."""

import math
from collections.abc import Mapping, Sequence

from sedistill.audio.files import AudioInfo, read_mono
from sedistill.audio.levels import rms_db, without_mean
from sedistill.common.errors import UserError
from sedistill.common.reading import shown
from sedistill.inference.enhancing.arrays import enhance, rate_of
from sedistill.models.ready_made import default_model
from sedistill.models.saving import load_model
from sedistill.workflows.distilling.recordings import Recordings

SECONDS = 5.0
"""Of each file, at most."""
SPEECH_KEEPS_DB = -6.0
"""Of 200 recordings of speech one in twenty kept less (-1.3 dB), of 80 of noise one in twenty
more (-11 dB)."""


def warn_of_other_sounds(found: Mapping[str, Recordings]) -> None:
    """Print a warning where clean speech sounds like noise, or noise like speech."""
    shares = {kind: speech_share(found[kind].sample) for kind in ("clean", "noise") if kind in found}
    told = {kind: share for kind, share in shares.items() if share is not None}
    no_speech, no_noise = told.get("clean", 1.0) <= 0.5, told.get("noise", 0.0) > 0.5
    if no_speech and no_noise:
        print("Warning: --clean sounds like noise and --noise like speech: are they swapped?")
    elif no_speech:
        print(
            f"Warning: {shown(found['clean'].folder)} hardly sounds like clean speech: the ready-made "
            f"{default_model()} takes {1 - told['clean']:.0%} of the files looked into for noise. What is "
            "called clean is what a student learns to leave."
        )
    elif no_noise:
        print(
            f"Warning: {shown(found['noise'].folder)} sounds like speech: the ready-made {default_model()} "
            f"leaves {told['noise']:.0%} of the files looked into as they are. What is called noise is what "
            "a student learns to remove."
        )


def speech_share(files: Sequence[AudioInfo]) -> float | None:
    """The share of the files of which the ready-made network leaves most; None where none has a sound."""
    network = load_model(default_model())
    kept = []
    for file in files:
        try:
            frames = min(file.frames, round(SECONDS * file.sample_rate))
            samples = without_mean(read_mono(file.path, rate_of(network), frames=frames))
            if (before := rms_db(samples)) > -math.inf:
                kept.append(rms_db(enhance(network, samples, rate_of(network))) - before)
        except UserError:
            continue  # preparing will name it
    return sum(one > SPEECH_KEEPS_DB for one in kept) / len(kept) if kept else None
