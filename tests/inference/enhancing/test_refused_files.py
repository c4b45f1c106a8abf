"""What cannot be read, used or written is named, and leaves nothing behind."""

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from torch import Tensor

from sedistill.audio.files import probe
from sedistill.common.errors import UserError
from sedistill.inference.enhancing import enhance_files, file_jobs
from tests.inference.enhancing.conftest import RATE, Powers, Unchanged, music


def test_a_file_that_is_too_loud_is_left_out_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(file_jobs, "load_model", lambda *_: Powers())
    for name, gain in (("a.wav", 1.0), ("b.wav", 1e38)):
        soundfile.write(tmp_path / name, gain * music(2000) / 0.5, RATE, subtype="FLOAT")
    with pytest.raises(UserError, match=r"1 of 2 files could not be enhanced.*b\.wav reaches"):
        enhance_files("model", [tmp_path / "a.wav", tmp_path / "b.wav"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]


def test_files_of_another_scale_are_refused_and_quiet_ones_told(
    tmp_path: Path, unchanged: Unchanged, capsys: pytest.CaptureFixture[str]
) -> None:
    """Samples of 16 bits not divided by 32768, and a recording at -80 dB, both in float."""
    for name, gain in (("large", 32768.0), ("quiet", 2e-4), ("usual", 0.1), ("silent", 0.0)):
        soundfile.write(tmp_path / f"{name}.wav", gain * music(8000, 2), RATE, subtype="FLOAT")
    with pytest.raises(UserError, match=r"large\.wav reaches .*, where full scale is 1; scale it first"):
        enhance_files("model", [tmp_path / "large.wav"], tmp_path / "out.wav")
    with pytest.raises(UserError, match=r"large\.wav reaches"):  # also where it would only be copied
        enhance_files("model", [tmp_path / "large.wav"], tmp_path / "out.wav", strength_db=0)
    assert not (tmp_path / "out.wav").exists()
    step = np.tile([1.0, -1.0], 8000) / 32768  # one step of 16 bits, which is silence
    soundfile.write(tmp_path / "step.wav", step, RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "offset.wav", np.full(16_000, 0.1), RATE, subtype="FLOAT")  # no sound either
    soundfile.write(tmp_path / "sample.wav", np.full(1, 0.5), RATE, subtype="PCM_16")
    names = [tmp_path / f"{name}.wav" for name in ("quiet", "usual", "silent", "step", "offset", "sample")]
    enhance_files("model", names, tmp_path / "out")
    said = capsys.readouterr().out
    assert said.count("is very quiet") == 1
    assert "quiet.wav is very quiet (-92 dB)" in said
    enhance_files("model", names, tmp_path / "copies", strength_db=0)
    assert "is very quiet" not in capsys.readouterr().out


def write_bad_files(folder: Path) -> None:
    (folder / "text.wav").write_text("this is no sound")
    (folder / "phone.m4a").write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0M4A isomiso2")  # how each begins
    (folder / "nothing.wav").write_bytes(b"")
    sound = music(3 * RATE)
    soundfile.write(folder / "cut.flac", sound, RATE)
    whole = (folder / "cut.flac").read_bytes()
    (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
    sound[40_000] = np.nan
    soundfile.write(folder / "nan.wav", sound, RATE, subtype="FLOAT")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text.wav", "is not audio"),
        ("phone.m4a", "is not audio .* convert it, as by ffmpeg -i FILE FILE.flac"),
        ("nothing.wav", "is empty"),
        ("cut.flac", "damaged or cut short"),
        ("nan.wav", "holds nan at sample 40000 of channel 1"),
    ],
)
def test_a_broken_file_is_named_with_its_reason(
    name: str, reason: str, tmp_path: Path, unchanged: Unchanged
) -> None:
    write_bad_files(tmp_path)
    with pytest.raises(UserError, match=f"{name} .*{reason}"):
        enhance_files("model", [tmp_path / name], tmp_path / "out" / name)
    assert not list((tmp_path / "out").glob("*"))


def test_broken_files_among_many_do_not_stop_the_others(
    tmp_path: Path, unchanged: Unchanged, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    write_bad_files(source)
    for name in ("a.wav", "z.wav"):
        soundfile.write(source / name, music(100), RATE)
    with pytest.raises(UserError, match="4 of 6 files could not be enhanced; the first: ") as error:
        enhance_files("model", [source], tmp_path / "out")
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "z.wav"]
    printed = capsys.readouterr()
    assert printed.err.count("left out: ") == 4
    assert "2 files, 0.0 s of audio" in printed.out


@pytest.mark.parametrize(("rate", "channels", "frames"), [(48_000, 1, 9000), (RATE, 1, 500), (RATE, 2, 1000)])
def test_a_file_that_is_another_by_the_time_it_is_read_is_left_out(
    rate: int, channels: int, frames: int, tmp_path: Path, unchanged: Unchanged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, music(1000), RATE)
    at_start = file_jobs.probe_all

    def then_replaced(*given: Any) -> Any:
        infos = at_start(*given)
        soundfile.write(tmp_path / "b.wav", music(frames, channels), rate)
        return infos

    monkeypatch.setattr(file_jobs, "probe_all", then_replaced)
    with pytest.raises(UserError, match=r"1 of 2 files .*b\.wav was changed since the command began"):
        enhance_files("model", [tmp_path / "a.wav", tmp_path / "b.wav"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]


def test_refused_before_anything_is_written(tmp_path: Path, model: Path) -> None:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for path in (source / "a.wav", source / "sub" / "b.wav", tmp_path / "a.wav"):
        soundfile.write(path, music(100), RATE)
    before = sorted(tmp_path.rglob("*"))

    def refused(match: str, inputs: list[Path], output: Path, **options: object) -> None:
        with pytest.raises(UserError, match=match):
            enhance_files(model, inputs, output, **options)  # type: ignore[arg-type]

    refused("nothing to enhance", [], tmp_path / "out")
    refused("missing.wav does not exist", [tmp_path / "missing.wav", source], tmp_path / "out")
    refused("missing.wav does not exist", [tmp_path / "missing.wav"], tmp_path / "out.wav")
    refused("holds no audio files", [tmp_path / "empty"], tmp_path / "out")
    refused("is an input; choose another place", [source / "a.wav"], source / "a.wav", overwrite=True)
    refused("is an input; choose another place", [source / "a.wav"], source, overwrite=True)
    refused("lies inside the input", [source], source, overwrite=True)
    refused("lies inside the input", [source], source / "out")
    refused("is the name of one file", [source / "a.wav", source / "sub/b.wav"], tmp_path / "all.wav")
    named = source.with_suffix(".FLAC")  # beside the folder, whose own name is no way on
    refused(f"go into a folder: name one, such as {source}-clean", [source], named)
    refused("exists already", [source / "a.wav"], tmp_path / "a.wav")
    refused("would both become", [source / "a.wav", tmp_path / "a.wav"], tmp_path / "out")
    refused("no audio format is called '.xyz'", [source / "a.wav"], tmp_path / "out.xyz")
    refused("device = tpu: choose auto, cpu or cuda", [source], tmp_path / "out", device="tpu")
    with pytest.raises(UserError, match="is not a saved model"):
        enhance_files(tmp_path / "nowhere", [source], tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_outputs_are_replaced_only_when_told(tmp_path: Path, unchanged: Unchanged) -> None:
    soundfile.write(tmp_path / "in.wav", music(100), RATE)
    soundfile.write(tmp_path / "out.wav", music(7), RATE)
    with pytest.raises(UserError, match=r"exists already; .* say --overwrite"):
        enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.wav")
    assert probe(tmp_path / "out.wav").frames == 7
    enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.wav", overwrite=True)
    assert probe(tmp_path / "out.wav").frames == 100


@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out.ogg", "out.mp3"])
def test_a_file_that_finds_no_room_is_named_and_leaves_nothing(
    name: str, tmp_path: Path, unchanged: Unchanged
) -> None:
    soundfile.write(tmp_path / "in.wav", music(60_000), RATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, hard))
    try:
        with pytest.raises(UserError, match=f"cannot write .*{name}: it is larger than"):
            enhance_files("model", [tmp_path / "in.wav"], tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_channels_a_format_cannot_hold_are_named(tmp_path: Path, unchanged: Unchanged) -> None:
    soundfile.write(tmp_path / "in.wav", music(100, 3), RATE)
    with pytest.raises(
        UserError, match=r"out\.mp3: MP3 with MPEG_LAYER_III cannot hold 3 channels of 16000 Hz"
    ):
        enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.mp3")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_ctrl_c_leaves_whole_files_only(tmp_path: Path, unchanged: Unchanged) -> None:
    for name in ("1.wav", "2.wav"):
        soundfile.write(tmp_path / name, music(RATE), RATE)

    class Interrupted(Unchanged):
        def forward(self, noisy: Tensor) -> Tensor:
            if self.lengths:
                raise KeyboardInterrupt
            return super().forward(noisy)

    unchanged.forward = Interrupted().forward  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        enhance_files("model", [tmp_path / "1.wav", tmp_path / "2.wav"], tmp_path / "out", workers=1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1.wav"]
