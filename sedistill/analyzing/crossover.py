"""Where DFKD's frequency adapter ends the low band over a clip (DFKD 2025, figure 2), as a figure."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.analyzing.crossover_figure import CrossoverFigure, crossover_svg
from sedistill.audio.files import probe, read_mono
from sedistill.audio.spectrum import Stft
from sedistill.common.errors import UserError
from sedistill.common.report.figures import require_drawing, standing_alone
from sedistill.common.writing import atomic_path, refuse_existing, refuse_impossible
from sedistill.distill.frequency_adapter import FrequencyAdapter, Scan
from sedistill.inference.enhancing import enhance
from sedistill.inference.enhancing.arrays import rate_of
from sedistill.models.saving import load_model

SCANS: dict[Scan, str] = {"ascending": "ascending scan, as printed", "descending": "descending scan"}
PLAIN_RATE = 16_000  # Hz, of the papers; a network has its own


@dataclass(frozen=True)
class Crossovers:
    """The last low bin of each frame by scan, each (K,), and the width of a bin in Hz."""

    bins: dict[Scan, NDArray[np.int64]]
    bin_hz: float

    def text(self) -> str:
        """Where the low band ends in a quarter, half and three quarters of the frames."""
        lines = []
        for scan, crossover in self.bins.items():
            low, middle, high = (np.quantile(crossover + 1, [0.25, 0.5, 0.75]) * self.bin_hz).round()
            lines.append(
                f"{SCANS[scan]}: the low band ends at {middle:.0f} Hz in the median "
                f"({low:.0f} to {high:.0f} Hz in the middle half of {len(crossover)} frames)"
            )
        return "\n".join(lines)


def draw_crossover(
    clip: Path | str,
    output: Path | str,
    model: Path | str | None = None,
    start: float = 0.0,
    seconds: float = 5.0,
    min_bin: int = 0,
    overwrite: bool = False,
) -> Crossovers:
    """Draw the crossover over time on a spectrogram, for both directions of the scan.

    Args:
        clip: an audio file; channels are averaged.
        output: the figure to write, an .svg file.
        model: folder of a saved model, whose output of the clip is looked at (DFKD looks at the teacher's);
            None takes the clip as it is, at 16 kHz.
        start, seconds: the stretch of the clip.
        min_bin: lowest possible crossover.

    Raises UserError: an unreadable clip, nothing at `start`, an output that exists or is no .svg file.
    """
    clip, output = Path(clip), Path(output)
    require_drawing("drawing the crossover")
    _refuse_output(output, overwrite)
    network = None if model is None else load_model(model)
    rate = PLAIN_RATE if network is None else rate_of(network)
    samples = _stretch(clip, rate, start, seconds)
    seen, title = samples, clip.name
    if network is not None:
        seen, title = enhance(network, samples, rate), f"{clip.name}, output of {Path(str(model)).name}"

    stft = Stft()
    magnitudes = stft(torch.from_numpy(seen)[None]).abs()
    found = {scan: FrequencyAdapter(scan=scan, min_bin=min_bin)(magnitudes)[0].numpy() for scan in SCANS}
    figure = CrossoverFigure(
        title=title,
        level_db=stft.level_db(seen),
        bin_hz=rate / stft.window_length,
        frame_seconds=stft.hop_length / rate,
        crossovers={SCANS[scan]: crossover for scan, crossover in found.items()},
        start_seconds=start,
    )
    with atomic_path(output, overwrite) as temporary:
        temporary.write_text(standing_alone(crossover_svg(figure)), encoding="utf-8")
    return Crossovers(found, figure.bin_hz)


def _refuse_output(output: Path, overwrite: bool) -> None:
    refuse_impossible(output)
    if output.suffix.lower() != ".svg":
        raise UserError(f"{output}: the figure is an SVG; give a name that ends in .svg.")
    if output.is_dir():
        raise UserError(f"{output} is a folder, and a file is to be written; choose another name.")
    refuse_existing(output, overwrite)


def _stretch(clip: Path, rate: int, start: float, seconds: float) -> NDArray[np.float32]:
    info = probe(clip)
    first = round(start * info.sample_rate)
    if first >= info.frames:
        raise UserError(f"{clip} lasts {info.seconds:.2f} s, so nothing of it is at --start {start:g}.")
    frames = min(round(seconds * info.sample_rate), info.frames - first)
    return read_mono(clip, rate, first, max(frames, 1))
