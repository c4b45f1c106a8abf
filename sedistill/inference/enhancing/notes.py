"""What a user should know about the files written, or to be written."""

from pathlib import Path

from torch import nn

from sedistill.audio.files import AudioInfo
from sedistill.common.wording import counted
from sedistill.inference.enhancing.arrays import level_factor, rate_of
from sedistill.inference.enhancing.enhancement_settings import Settings
from sedistill.inference.enhancing.inputs_and_outputs import Job
from sedistill.inference.enhancing.one_file import Outcome, output_coding

QUIET_DB = -60.0
"""Active level below which networks that learnt at some -26 dB take speech for noise."""


class Notes:
    """Collects what there is to say of the files, in the order in which they come."""

    def __init__(self) -> None:
        self.files, self.seconds = 0, 0.0
        self.clipped: dict[str, int] = {}
        self.quiet: dict[str, float] = {}
        self.rates: set[int] = set()

    def add(self, job: Job, info: AudioInfo, outcome: Outcome | None = None) -> None:
        self.files += 1
        self.seconds += info.seconds
        self.rates.add(info.sample_rate)
        if outcome and outcome.clipped:
            self.clipped[str(job.target)] = outcome.clipped
        if outcome and outcome.level_db is not None and outcome.level_db < QUIET_DB:
            self.quiet[str(job.source)] = outcome.level_db

    def text(self, network: nn.Module, model: str, output: Path, settings: Settings, dry: bool) -> str:
        files = counted(self.files, "file")
        done = "to be enhanced" if dry else "enhanced"
        lines = [f"{files}, {self.seconds:.1f} s of audio, {done} by {model} into {output}."]
        lines.append(level_text(network, settings.correct_level))
        if settings.strength_db is not None:
            lines.append(f"Noise is lowered by {settings.strength_db:g} dB at most.")
        if above := self._above(rate_of(network), settings):
            lines.append(above)
        for name, count in self.clipped.items():
            lines.append(f"{name}: {count} samples went beyond full scale and were limited to it.")
        for name, level in self.quiet.items():
            lines.append(
                f"{name} is very quiet ({level:.0f} dB): networks learn from speech at some -26 dB and may "
                "take this for noise; raise its level first."
            )
        return "\n".join(lines)

    def _above(self, model_rate: int, settings: Settings) -> str:
        """What becomes of the band that the network does not hear, where files have one."""
        higher = sorted(rate for rate in self.rates if rate > model_rate)
        if not higher or (settings.noisy_share and not settings.whole_band):
            return ""
        files, top = f"Of files at {', '.join(f'{rate} Hz' for rate in higher)}", model_rate // 2
        if settings.whole_band:
            return f"{files} what lies above {top} Hz is lowered as the octave below it."
        return f"{files} nothing above {top} Hz is kept: such is the model's rate (--whole-band keeps it)."


def planned_text(job: Job, info: AudioInfo) -> str:
    """One line on a file that is to be enhanced."""
    format_name, subtype = output_coding(job, info)
    channels = counted(info.channels, "channel")
    return (
        f"{job.source} -> {job.target}: {info.seconds:.1f} s, {info.sample_rate} Hz, {channels}, "
        f"{format_name} {subtype}"
    )


def level_text(network: nn.Module, correct_level: bool) -> str:
    """One sentence about the level correction: whether it is applied, and its factor."""
    factor = level_factor(network)
    state, done = ("on", "multiplied") if correct_level else ("off", "not multiplied")
    sign = "; negative: the network inverts the signal" if factor < 0 else ""
    return f"Level correction {state}: output {done} by {factor:.4g}, the factor in the model's card{sign}."
