"""Fixed sets by a rule: every sentence with every noise at every SNR, as papers list their test sets.

Only the place where the noise is cut is drawn, and it is a function of (seed, split, number of the mixture).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, field_validator

from sedistill.common.errors import UserError
from sedistill.common.settings import Settings, parts_of, settings_of_texts
from sedistill.common.writing import refuse_existing, refuse_inside
from sedistill.data.corpus import Corpus
from sedistill.data.mix_sources import Material, Piece
from sedistill.data.mixing import MixturePlan, plan_noise
from sedistill.data.randomness import GRIDS, philox, stream_of
from sedistill.data.rendering import render_one_of
from sedistill.data.set_files import FACTS, FixedSetSummary, Row, row_of_mixture, write_pair, write_set


def _listed(value: Any) -> Any:
    """A list, or what stands for one on a command line: "-5,0,5", or a single value."""
    if isinstance(value, str):
        return parts_of(value)
    return [value] if isinstance(value, int | float) else value


class GridSettings(Settings):
    """Which mixtures a grid holds. Whole sentences, none cut."""

    snr_db: Annotated[tuple[Annotated[float, Field(ge=-100, le=100)], ...], BeforeValidator(_listed)]
    """Every sentence is mixed with every noise at each of these."""
    noises: Annotated[tuple[str, ...] | None, BeforeValidator(_listed)] = None
    """Noise classes; null takes all of the split."""
    noise_split: str | None = None
    """The split that the noise is from; null takes that of the sentences."""
    snr_on: Literal["active", "rms"] = "active"
    """Levels that the SNR compares: active leaves pauses out, rms is over the whole clip."""
    level_db: float | None = Field(-26.0, ge=-100, le=0, allow_inf_nan=False)
    """Active level of the speech in dB below full scale; null leaves it as recorded."""
    crossfade_ms: float = Field(10.0, ge=0, le=50, allow_inf_nan=False)
    """Overlap where recordings of noise are joined."""

    @field_validator("snr_db", "noises")
    @classmethod
    def _some_and_each_once(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if values is not None and not values:
            raise ValueError("the list is empty; give at least one value.")
        if values is not None and len(set(values)) < len(values):
            raise ValueError("a value is there twice; give each once.")
        return values


def grid_settings(overrides: Sequence[str]) -> GridSettings:
    """Settings from texts such as "snr_db=-5,0,5"; the rest is default. Raises UserError."""
    return settings_of_texts(GridSettings, overrides, "grid setting")


def write_grid_set(
    corpus_folder: Path | str,
    output: Path | str,
    grid: GridSettings,
    split: str = "test",
    seed: int = 0,
    overwrite: bool = False,
    workers: int | None = None,
) -> FixedSetSummary:
    """Write every sentence of `split` with every noise at every SNR as 16-bit FLAC.

    Sentences vary slowest, SNRs fastest. Each mixture has its own place in the noise; of a class with
    several recordings, also its own recording. Noise shorter than the sentence is joined with others of its
    class, or looped.

    Raises UserError: the split has no sentences or is of ready pairs, a noise class is not there, the output
    exists, the disk is full.
    """
    output = Path(output)
    refuse_existing(output, overwrite, marker=FACTS)
    corpus = Corpus.load(corpus_folder)
    refuse_inside(output, [Path(corpus_folder)])
    opened = Grid.open(corpus, split, grid)
    facts = {"split": split, "seed": seed, "pairs": False, "grid": grid.model_dump(mode="json")}
    write_one = partial(_write_one, str(corpus_folder), split, seed, grid)
    return write_set(output, overwrite, corpus, facts, write_one, range(len(opened)), workers)


@dataclass(frozen=True)
class Grid:
    """The mixtures of a grid by number.

    Attributes:
        recordings: for each noise class, its clips by their numbers in the material.
    """

    material: Material
    settings: GridSettings
    recordings: tuple[NDArray[np.int64], ...]

    @classmethod
    def open(cls, corpus: Corpus, split: str, settings: GridSettings) -> "Grid":
        """Find speech and noise. Raises UserError when there is none of what the settings name."""
        part = corpus.split(split)
        if part.has_pairs:
            raise UserError(
                f"{corpus.folder}: split '{split}' holds ready pairs; a grid is mixed from speech and noise."
            )
        place = settings.noise_split or split
        noise = corpus.split(place).kind("noise")
        known = sorted(noise.groups())
        absent = [name for name in settings.noises or () if name not in known]
        if absent:
            raise UserError(
                f"{corpus.folder}: split '{place}' has no noise called {', '.join(absent)}; it has "
                f"{', '.join(known) or 'none'}."
            )
        material = Material(part, noise)
        chosen = settings.noises or known
        return cls(material, settings, tuple(np.flatnonzero(noise.is_in("group", name)) for name in chosen))

    def __len__(self) -> int:
        return len(self.material.speech) * len(self.recordings) * len(self.settings.snr_db)

    def plan(self, seed: int, number: int, attempt: int = 0) -> MixturePlan:
        """Mixture `number`; another `attempt` cuts its noise elsewhere."""
        pair, snr = divmod(number, len(self.settings.snr_db))
        sentence, noise = divmod(pair, len(self.recordings))
        stream = stream_of(GRIDS, self.material.split)
        pick = philox(seed, stream, 0, number).random()
        recording = int(self.recordings[noise][int(pick * len(self.recordings[noise]))])
        frames = int(self.material.speech_frames[sentence])
        crossfade = round(self.settings.crossfade_ms * self.material.sample_rate / 1000)
        rng = philox(seed, stream, 0, number, attempt + 1)
        return MixturePlan(
            frames=frames,
            speech=Piece(sentence, 0, frames),
            speech_offset=0,
            noise=plan_noise(rng, recording, frames, crossfade, self.material),
            crossfade=crossfade,
            snr_db=self.settings.snr_db[snr],
            level_db=self.settings.level_db,
            snr_on=self.settings.snr_on,
        )


def _write_one(
    corpus_folder: str, split: str, seed: int, settings: GridSettings, folder: Path, name: str, number: int
) -> Row:
    grid = _grid(corpus_folder, split, settings)
    mixture = render_one_of(partial(grid.plan, seed, number), grid.material)
    write_pair(folder, name, mixture.noisy, mixture.clean, grid.material.sample_rate)
    return row_of_mixture(name, mixture, grid.material)


@cache
def _grid(corpus_folder: str, split: str, settings: GridSettings) -> Grid:
    return Grid.open(Corpus.load(corpus_folder), split, settings)
