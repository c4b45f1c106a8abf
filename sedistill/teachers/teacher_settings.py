"""What `teacher:` may say of a teacher that is no saved model: one kind, and what is known of it."""

import os
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sedistill.common.errors import UserError
from sedistill.common.paths import UserPath, as_is
from sedistill.common.settings import Settings, check_settings

KINDS = ("deepfilternet", "onnx", "torchscript", "exported", "python", "command", "folder")
BUNDLED = "bundled"


class StftSettings(Settings):
    """The transform around an ONNX graph that takes and gives frames of spectra."""

    n_fft: int = Field(ge=2, le=2**16, description="Samples of a transform.")
    hop_length: int = Field(ge=1, le=2**16, description="Samples between two frames.")
    window_length: int | None = Field(None, ge=2, le=2**16, description="Samples; null = n_fft.")
    window: Literal["hann", "hann_sqrt", "vorbis"] = Field(
        "hann_sqrt", description="Of analysis and synthesis alike; periodic."
    )

    @model_validator(mode="after")
    def _frames_overlap(self) -> "StftSettings":
        if not self.hop_length < (self.window_length or self.n_fft) <= self.n_fft:
            raise ValueError("frames must overlap, and the window be no longer than n_fft.")
        return self


class TeacherFrom(Settings):
    """Where a teacher comes from that is no saved model. Exactly one of the kinds; the rest is about it."""

    deepfilternet: str | None = Field(
        None, description="`bundled`: DeepFilterNet3 of the extra teachers; or an archive of its ONNX files."
    )
    onnx: UserPath | None = Field(None, description="An ONNX file: waveforms, or frames with states.")
    torchscript: UserPath | None = Field(
        None, description="A file of torch.jit.save, waveform to waveform; with --trust-code."
    )
    exported: UserPath | None = Field(
        None, description="A file of torch.export.save, waveform to waveform; with --trust-code."
    )
    python: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$",
        description="package.module:function, float32 NumPy (T,) to the same; with --trust-code.",
    )
    command: str | None = Field(
        None,
        description="A program over files, with {input} and {output} (a folder) or {output_file} in its "
        "arguments, run without a shell; with --trust-code; for clips that come again.",
    )
    folder: UserPath | None = Field(
        None, description="The noisy files of the training set, enhanced already; for fixed training sets."
    )
    rate: Annotated[int, Field(ge=100, le=10_000_000)] | None = Field(
        None, description="Hz at which it works; null = what its file says, or else the data's."
    )
    delay_ms: Annotated[float, Field(ge=-5_000, le=5_000)] | None = Field(
        None, description="By how much its output is late; null = measured on the clips."
    )
    attenuation_limit_db: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="deepfilternet: what it takes away at most; null = no limit."
    )
    stft: StftSettings | None = Field(None, description="onnx: of graphs over spectra that do not say it.")
    states: Literal["zeros"] | None = Field(
        None, description="onnx: every further input is a state that begins at zero and comes back as output."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> "TeacherFrom":
        named = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(named) != 1:
            found = f"{' and '.join(named)} are given" if named else "none is given"
            raise ValueError(f"a teacher comes from exactly one of {', '.join(KINDS)}, but {found}.")
        owners = {"attenuation_limit_db": "deepfilternet", "stft": "onnx", "states": "onnx"}
        for key, owner in owners.items():
            if getattr(self, key) is not None and named[0] != owner:
                raise ValueError(f"{key} belongs to {owner}, not to {named[0]}; take it out.")
        if named[0] == "deepfilternet" and self.rate is not None:
            raise ValueError("deepfilternet works at 48000 Hz whatever is said; take out rate.")
        if named[0] in ("torchscript", "exported", "python") and self.rate is None:
            raise ValueError(f"rate is missing: nothing tells at how many Hz {named[0]} works.")
        return self

    @property
    def kind(self) -> str:
        """Which of `KINDS`."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def name(self) -> str:
        """Such as "onnx:denoiser", for labels and messages."""
        if self.kind == "deepfilternet":
            bundled = self.deepfilternet == BUNDLED
            limit = f"-{self.attenuation_limit_db:g}dB" if self.attenuation_limit_db is not None else ""
            return f"deepfilternet{'' if bundled else f':{self.deepfilternet}'}{limit}"
        return f"{self.kind}:{getattr(self, self.kind)}"

    @property
    def anchored(self) -> "TeacherFrom":
        """The same with paths that mean the same in every folder, those within a command among them."""
        given = getattr(self, self.kind)
        if isinstance(given, Path):
            return self.model_copy(update={self.kind: given.absolute()})
        if self.kind == "deepfilternet" and given != BUNDLED:
            return self.model_copy(update={self.kind: os.path.abspath(given)})
        if self.kind == "command":
            words = [os.path.abspath(one) if Path(one).exists() else one for one in shlex.split(given)]
            return self.model_copy(update={self.kind: shlex.join(words)})
        return self

    @property
    def given(self) -> dict[str, Any]:
        """What was said, as plain data: a mapping that means these settings in a recipe."""
        said = self.model_dump(exclude_defaults=True)
        return {key: as_is(value) if isinstance(value, Path) else value for key, value in said.items()}


def teacher_from(given: Any) -> TeacherFrom:
    """Settings from a mapping. Raises UserError, with one sentence."""
    if isinstance(given, TeacherFrom):
        return given
    if not isinstance(given, dict):
        raise UserError(f"teacher: a {type(given).__name__} names no teacher; give text or a mapping.")
    return check_settings(TeacherFrom, given, "teacher")
