"""Speech for the demo corpus: espeak-ng, as shipped inside the pip package espeakng-loader.

The library keeps its random state from one sentence to the next and never resets it, so the same speech for
the same seed needs a fresh process: `speak` runs this module as a script and reads what it said.
"""

import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sedistill.common.errors import UserError
from sedistill.common.extras import require
from sedistill.common.interpreters import module_command, python_environment

SAMPLE_RATE = 22_050

# From espeak-ng/speak_lib.h.
SYNCHRONOUS = 2
RATE, PITCH = 1, 3
UTF8 = 1


@dataclass(frozen=True)
class Utterance:
    """A sentence and who says it: espeak-ng voice ("de+m7"), words a minute, pitch from 0 to 99."""

    text: str
    voice: str
    words_per_minute: int
    pitch: int


def speak(utterances: Sequence[Utterance], seed: int) -> list[np.ndarray]:
    """Say every utterance: int16 samples (T,) each, mono at SAMPLE_RATE; the same for the same seed.

    Raises UserError when espeakng-loader is missing or its library does not work here.
    """
    require_espeak()
    with tempfile.TemporaryDirectory() as folder:
        job, speech = Path(folder, "job.json"), Path(folder, "speech.npz")
        job.write_text(json.dumps({"seed": seed, "utterances": [asdict(u) for u in utterances]}))
        command = module_command("sedistill.workflows.demo.speech", str(job), str(speech))
        result = subprocess.run(command, capture_output=True, text=True, env=python_environment())
        if result.returncode != 0:
            reason = result.stderr.strip().splitlines()[-1:] or [f"exit code {result.returncode}"]
            raise UserError(f"the speech synthesizer espeak-ng does not work here ({reason[0]}).")
        with np.load(speech) as spoken:
            return [spoken[f"arr_{index}"] for index in range(len(utterances))]


def require_espeak() -> None:
    """Raise UserError with the command to type when the synthesizer is not installed."""
    require(["espeakng_loader"], "demo", "the demo corpus")


class Synthesizer:
    """espeak-ng through its C interface; one at a time in a process."""

    def __init__(self, seed: int) -> None:
        import espeakng_loader

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
        if rate != SAMPLE_RATE:
            raise RuntimeError(f"espeak_Initialize gave {rate}, not {SAMPLE_RATE} Hz")
        self.library.espeak_ng_SetRandSeed(seed)
        self.pieces: list[np.ndarray] = []
        callback_type = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self.callback = callback_type(self._collect)  # kept: the library holds no reference
        self.library.espeak_SetSynthCallback(self.callback)

    def say(self, utterance: Utterance) -> np.ndarray:
        """The utterance as int16 samples (T,)."""
        if self.library.espeak_SetVoiceByName(utterance.voice.encode()) != 0:
            raise RuntimeError(f"no voice {utterance.voice}")
        self.library.espeak_SetParameter(RATE, utterance.words_per_minute, 0)
        self.library.espeak_SetParameter(PITCH, utterance.pitch, 0)
        text = utterance.text.encode()
        self.pieces.clear()
        self.library.espeak_Synth(text, len(text) + 1, 0, 0, 0, UTF8, None, None)
        if not self.pieces:
            raise RuntimeError(f"{utterance.voice} said nothing")
        return np.concatenate(self.pieces)

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if samples and count > 0:
            self.pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


def main(job_path: str, speech_path: str) -> None:
    """Say what the job file lists into one npz, in its order."""
    job = json.loads(Path(job_path).read_text())
    synthesizer = Synthesizer(job["seed"])
    spoken = [synthesizer.say(Utterance(**utterance)) for utterance in job["utterances"]]
    np.savez(speech_path, *spoken)


if __name__ == "__main__":
    main(*sys.argv[1:])
