"""Fixed sets of noisy/clean pairs on the disk: the same for every run and every model."""

import os
from collections.abc import Sequence
from copy import copy
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.files import AudioFileError, probe, read_mono
from sedistill.audio.listing import Unread, audio_below
from sedistill.common.csv_files import read_csv
from sedistill.common.csv_index import INDEX
from sedistill.common.errors import UserError
from sedistill.common.integrity import file_hash, is_as_written
from sedistill.common.reading import is_taken, require_folder, shown, why_no_file
from sedistill.common.settings import read_record
from sedistill.data.content_table import Contents, Stamp
from sedistill.data.contents import FILES, as_written, look, stamp_of
from sedistill.data.pair_fit import shared_part
from sedistill.data.partners import NO_PARTNER, Pair, find_partners
from sedistill.data.set_files import (
    FACTS,
    FORMAT_VERSION,
    SIDES,
    TABLE,
    Row,
    SetFacts,
    is_of_a_teacher,
    joint_hash,
    listed,
    pair_digest,
    total_bytes,
)

WRITE_AGAIN = "write the set again"


class FixedSet:
    """A folder of noisy/clean pairs, read clip by clip.

    Args:
        folder: written by `mix`, or any folder with noisy/ and clean/ whose files are partners by
            the rule of `partners`.

    Attributes:
        names, clean_names: files below noisy/ and clean/, in the order of the noisy ones (arrays of bytes).
        lengths: samples of each clip.
        sample_rate: Hz.
        snr_db: of each clip, NaN where unknown.
        noise_classes: of each clip, empty where unknown (bytes).
        utterances, noise_recordings: the recordings in each clip by name, empty where unknown; several
            noises are parted by semicolons.
        facts: set.yaml, or {} for a plain folder.
        is_mixed_here: whether `sedistill mix` made it of speech and noise, so that its pairs fit and hold no
            offset.
        lags: samples by which noisy is read from later on than clean (`shift`); 0 as the files are.
        misfits: names of pairs that do not fit and are trusted nevertheless, once `alignment` looked.

    Raises UserError for a missing folder, a file without a partner, pairs of different lengths or rates, and
    a written set that was changed since.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        pairs = self._matched_files()
        self.names = np.array([os.fsencode(pair.noisy) for pair in pairs], dtype=np.bytes_)
        self.clean_names = np.array([os.fsencode(pair.clean) for pair in pairs], dtype=np.bytes_)
        self.snr_db = np.full(len(pairs), np.nan)
        self.noise_classes = np.full(len(pairs), b"", dtype=np.bytes_)
        self.utterances = self.noise_recordings = [""] * len(pairs)
        self.lags = np.zeros(len(pairs), dtype=np.int64)
        self.lengths = np.zeros(len(pairs), dtype=np.int64)
        self.misfits: list[str] = []
        self.facts: dict[str, Any] = {}
        self.is_mixed_here = False
        if is_taken(self.folder / FACTS):
            self._load_written()
        else:
            self._probe_all()

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """File of clip `index` below noisy/."""
        return os.fsdecode(self.names[index])

    def clip_id(self, index: int) -> str:
        """What clip `index` is called in tables: its file without the suffix, which no other clip shares."""
        return str(PurePosixPath(self.name(index)).with_suffix(""))

    def paths(self, index: int) -> tuple[Path, Path]:
        """The noisy and the clean file of clip `index`."""
        noisy, clean = self.name(index), os.fsdecode(self.clean_names[index])
        return self.folder / "noisy" / noisy, self.folder / "clean" / clean

    def noisy(self, index: int) -> NDArray[np.float32]:
        """The noisy file of clip `index`, (T,)."""
        return self[index][0]

    def origin(self, index: int) -> str:
        """Where clip `index` comes from, for messages."""
        return str(self.paths(index)[0])

    def evenly(self, count: int) -> "FixedSet":
        """So many of the clips, taken evenly from the first to the last; all where there are no more."""
        if count >= len(self):
            return self
        chosen = np.arange(count) * len(self) // count
        part = copy(self)
        for name in ("names", "clean_names", "snr_db", "noise_classes", "lags", "lengths"):
            setattr(part, name, getattr(self, name)[chosen])
        part.utterances = [self.utterances[index] for index in chosen]
        part.noise_recordings = [self.noise_recordings[index] for index in chosen]
        part.facts = {}  # set.yaml tells of the whole
        return part

    def shift(self, lags: Sequence[int]) -> None:
        """Read each clip without the samples by which its noisy file is late (or early, where below 0)."""
        self.lengths = self.lengths + np.abs(self.lags) - np.abs(np.array(lags, dtype=np.int64))
        self.lags = np.array(lags, dtype=np.int64)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(noisy, clean), float32 (T,) each."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        noisy, clean = (read_mono(path, self.sample_rate) for path in self.paths(index))
        if len(noisy) != len(clean):
            raise UserError(
                f"{self.folder}: {self.name(index)} has {len(noisy)} noisy, {len(clean)} clean samples."
            )
        noisy_start, clean_start, frames = shared_part(int(self.lags[index]), len(noisy), len(clean))
        return noisy[noisy_start : noisy_start + frames], clean[clean_start : clean_start + frames]

    @property
    def unread(self) -> list[Unread]:
        """Every file in the folder that is none of the set's, with the reason."""
        found = audio_below(self.folder)
        outside = [file for file in found.files if file.parts[0] not in SIDES]
        strays = [Unread(self.folder / file, "not used", "not in noisy/ or clean/") for file in outside]
        own = (FACTS, TABLE, FILES, Path(FILES).with_suffix(INDEX).name)
        unread = [one for one in found.unread if one.path.name not in own and not is_of_a_teacher(one.path)]
        return strays + unread

    @property
    def seconds(self) -> float:
        """Length of all clips together."""
        return float(self.lengths.sum()) / self.sample_rate

    @property
    def hash(self) -> str:
        """sha256 over names, audio and shifts: read from set.yaml, computed (once) for a plain folder."""
        found = str(self.facts["hash"]) if "hash" in self.facts else self.hash_of_audio()
        return joint_hash([found.encode(), self.lags.tobytes()]) if self.lags.any() else found

    def hash_of_audio(self) -> str:
        """The same, computed from what the files hold now."""
        pairs = tuple((self.name(i), *self.paths(i)) for i in range(len(self)))
        return _hash_of_pairs(pairs, tuple(map(stamp_of, self.files().values())), self.sample_rate)

    def files(self) -> dict[str, Path]:
        """Every audio file by its name in the set, such as noisy/000000.flac."""
        paths = [
            (side, path) for i in range(len(self)) for side, path in zip(SIDES, self.paths(i), strict=True)
        ]
        return {f"{side}/{path.relative_to(self.folder / side).as_posix()}": path for side, path in paths}

    def contents(self, known: Contents | None = None) -> Contents:
        """What every file holds. Raises UserError when a written set is not as it was written.

        known: what is known of the files of a plain folder, so that they need not be read again.
        """
        if not self.facts:
            return look(self.files(), known)
        return as_written(self.folder, self.files(), self.facts.get("files_hash"), WRITE_AGAIN)

    def _matched_files(self) -> list[Pair]:
        require_folder(self.folder, "give a set, a folder with noisy/ and clean/ in it")
        sides = []
        for side in SIDES:
            place = self.folder / side
            require_folder(place, "a set is a folder with noisy/ and clean/ in it")
            sides.append(list(listed(place)))
        if not any(sides):
            raise UserError(f"{self.folder} holds no audio files in noisy/ and clean/.")
        found = find_partners(*sides)
        for left, side, partner in (
            (found.noisy_left, "noisy", "clean"),
            (found.clean_left, "clean", "noisy"),
        ):
            if left:
                self._refuse_left_over(left, side, partner)
        return found.pairs

    def _refuse_left_over(self, left: Sequence[tuple[str, str]], side: str, partner: str) -> None:
        file, reason = left[0]
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        same = self.folder / partner / file
        if is_taken(same) and (fault := why_no_file(same)):
            raise UserError(f"{shown(same)} {fault}; put the file there, or take its partner away too.")
        if reason == NO_PARTNER:
            reason = f"no partner of the same name in {self.folder / partner}; add it or take the file away"
            raise UserError(f"{self.folder / side / file}{more} has {reason}.")
        raise UserError(f"{self.folder / side / file}{more} has no sure partner: {reason}; leave one there.")

    def _probe_all(self) -> None:
        rates: list[int] = []
        lengths: list[int] = []
        for index in range(len(self)):
            noisy, clean = map(probe, self.paths(index))
            if noisy.frames == 0:
                raise AudioFileError(noisy.path, "holds no samples")
            if (noisy.frames, noisy.sample_rate) != (clean.frames, clean.sample_rate):
                raise UserError(
                    f"{noisy.path} has {noisy.frames} samples at {noisy.sample_rate} Hz and its clean "
                    f"partner {clean.frames} at {clean.sample_rate} Hz; the two files of a pair must agree."
                )
            if rates and noisy.sample_rate != rates[-1]:
                raise UserError(
                    f"{noisy.path} has {noisy.sample_rate} Hz, files before it {rates[-1]} Hz; "
                    "convert the set with `sedistill prepare --clean ... --noisy ...` first."
                )
            rates.append(noisy.sample_rate)
            lengths.append(noisy.frames)
        self.sample_rate = rates[0]
        self.lengths = np.array(lengths, dtype=np.int64)

    def _load_written(self) -> None:
        noisy, clean = (listed(self.folder / side) for side in SIDES)
        self.facts = read_record(SetFacts, self.folder / FACTS, WRITE_AGAIN, FORMAT_VERSION)
        self.is_mixed_here = not self.facts.get("pairs", True)
        self.sample_rate = self.facts["sample_rate"]
        rows = read_csv(self.folder / TABLE, Row, WRITE_AGAIN)
        expected = (self.facts["count"], self.facts["bytes"])
        present = (len(noisy), total_bytes(noisy) + total_bytes(clean))
        if expected != present or [row.name for row in rows] != list(noisy):
            raise UserError(
                f"{self.folder} was changed since it was written: {FACTS} tells of {expected[0]} clips and "
                f"{expected[1]} bytes, there are {present[0]} and {present[1]}; write the set again."
            )
        self._refuse_changed(self.folder / FACTS)
        self.lengths = np.array([row.frames for row in rows], dtype=np.int64)
        self.snr_db = np.array([row.snr_db for row in rows])
        self.noise_classes = np.array([os.fsencode(row.noise_class) for row in rows], dtype=np.bytes_)
        # Sets of earlier versions name the files that clips were cut from, not the recordings.
        self.utterances = [row.clean_recording or row.clean for row in rows]
        self.noise_recordings = [row.noise_recording or row.noise for row in rows]

    def _refuse_changed(self, path: Path) -> None:
        table = self.folder / TABLE
        sound = {path: is_as_written(self.facts),
                 table: self.facts.get("table_sha256") in (None, file_hash(table))}  # fmt: skip
        for file, fine in sound.items():
            if not fine:
                raise UserError(
                    f"{file} was changed since it was written; put back what was there, or {WRITE_AGAIN}."
                )
        if "files_hash" in self.facts:
            self.contents()


@cache
def _hash_of_pairs(
    pairs: tuple[tuple[str, Path, Path], ...], _as_they_are: tuple[Stamp | None, ...], sample_rate: int
) -> str:
    return joint_hash(pair_digest(name, noisy, clean, sample_rate) for name, noisy, clean in pairs)
