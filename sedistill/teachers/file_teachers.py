"""Teachers that are files: a program run over them, or a folder that some service has filled."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from sedistill.audio.files import probe, read_mono, write
from sedistill.audio.listing import audio_below
from sedistill.common.errors import UserError
from sedistill.common.extensions import refuse_untrusted
from sedistill.common.integrity import facts_checksum, file_hash, joint_hash
from sedistill.common.reading import require_folder
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.partners import find_partners
from sedistill.teachers.foreign import Clips, ForeignTeacher, Wave
from sedistill.teachers.teacher_settings import TeacherFrom


class Command(ForeignTeacher):
    """A program, once for every clip: a 16-bit WAV file in, an audio file of the same rate and length out.

    Its arguments are parted as a shell would, but none is asked; {input} is the file, {output} an empty
    folder for its output and {output_file} a WAV file in it.
    """

    live, works_elsewhere = False, True

    def __init__(self, settings: TeacherFrom) -> None:
        line = str(settings.command)
        refuse_untrusted(f"the teacher '{line}' is a program")
        self.arguments = shlex.split(line)
        if "{input}" not in line or "{output" not in line:
            raise UserError(f"the command '{line}' lacks {{input}}, or {{output}} or {{output_file}}.")
        facts = {"kind": "command", "command": line, "rate": settings.rate}
        super().__init__(settings.name, facts_checksum(facts), settings.rate)

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        with tempfile.TemporaryDirectory() as folder:
            given, place = Path(folder) / "clip.wav", Path(folder) / "output"
            place.mkdir()
            write(given, noisy, sample_rate, "PCM_16")
            words = {"{input}": str(given), "{output}": str(place), "{output_file}": str(place / "clip.wav")}
            self._run([_filled(argument, words) for argument in self.arguments])
            made = audio_below(place).files
            if len(made) != 1:
                raise UserError(
                    f"'{self.arguments[0]}' ended well but left {len(made) or 'no'} audio files, not one."
                )
            output = place / made[0]
            about = probe(output)
            if (rate := about.sample_rate) != sample_rate:
                raise UserError(
                    f"'{self.arguments[0]}' gives {rate} Hz for {sample_rate} Hz; state rate: {rate}, and it "
                    "is asked at that."
                )
            if about.channels != 1:
                raise UserError(
                    f"'{self.arguments[0]}' gives {about.channels} channels for one; it must give one too."
                )
            return read_mono(output, sample_rate)

    def _run(self, arguments: list[str]) -> None:
        try:
            done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except OSError as error:
            raise UserError(f"'{arguments[0]}' cannot be started: {error.strerror}.") from None
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            last = f": {said[-1][:200]}" if said else ", without a word"
            raise UserError(f"'{arguments[0]}' ended with exit status {done.returncode}{last}")


class Folder(ForeignTeacher):
    """Files that are cleaned already: partners of the noisy ones by the rule of `data.partners`."""

    live = hears_any_sound = False

    def __init__(self, settings: TeacherFrom) -> None:
        self.folder = Path(str(settings.folder))
        require_folder(self.folder, "name a folder with the noisy files, cleaned")
        self.files = [file.as_posix() for file in audio_below(self.folder).files]
        if not self.files:
            raise UserError(f"{self.folder} holds no audio files.")
        rate = probe(self.folder / self.files[0]).sample_rate
        if settings.rate not in (None, rate):
            raise UserError(
                f"{self.folder / self.files[0]} has {rate} Hz, not {settings.rate}; take out rate."
            )
        contents = joint_hash((file, file_hash(self.folder / file)) for file in sorted(self.files))
        self._partners: dict[tuple[str, ...], dict[str, str]] = {}
        super().__init__(settings.name, facts_checksum({"kind": "folder", "files": contents}), rate)

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        raise UserError(f"{self.folder} knows its own files alone, no other sound.")

    def clean_clip(self, clips: Clips, index: int, heard: Wave, before: int, sample_rate: int) -> Wave:
        if not isinstance(clips, FixedSet):
            return self.clean(heard, sample_rate)
        file, noisy = self.folder / self._partner_of(clips)[clips.name(index)], clips.paths(index)[0]
        channels, heard_channels = probe(file).channels, probe(noisy).channels
        if channels != heard_channels:
            raise UserError(
                f"its partner {file} has {channels} channels, not {heard_channels}; give it as many."
            )
        wave = read_mono(file, sample_rate)
        start = round(max(int(clips.lags[index]), 0) * sample_rate / clips.sample_rate)
        wave = wave[start:]
        room = len(heard) - round(float(clips.lengths[index]) * sample_rate / clips.sample_rate)
        return np.pad(wave, (before, max(room - before, 0)))  # what was early or late is not in the file

    def _partner_of(self, dataset: FixedSet) -> dict[str, str]:
        """The file of each noisy one. Raises UserError where some have none."""
        names = tuple(os.fsdecode(name) for name in dataset.names)
        if names not in self._partners:
            found = find_partners(names, self.files)
            if found.noisy_left:
                name, reason = found.noisy_left[0]
                raise UserError(
                    f"{self.folder} lacks {len(found.noisy_left)} of the {len(names)} files of "
                    f"{dataset.folder / 'noisy'}, the first {name} ({reason})."
                )
            self._partners[names] = {pair.noisy: pair.clean for pair in found.pairs}
        return self._partners[names]


def _filled(argument: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        argument = argument.replace(word, value)
    return argument
