"""Files and folders: what goes in comes out, with nothing but the noise gone."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sedistill.audio.files import probe, read
from sedistill.common.errors import UserError
from sedistill.inference.enhancing import enhance, enhance_files
from tests.inference.enhancing.conftest import RATE, Unchanged, music

CODINGS = [
    ("a.wav", "PCM_16"), ("a.wav", "PCM_24"), ("a.wav", "FLOAT"), ("a.WAV", "PCM_U8"), ("a.flac", "PCM_16"),
    ("a.flac", "PCM_24"), ("a.aiff", "PCM_16"), ("a.ogg", "VORBIS"), ("a.mp3", "MPEG_LAYER_III"),
    ("a.au", "ULAW"),
]  # fmt: skip
LOSSLESS = ("PCM_16", "PCM_24", "FLOAT")


@pytest.mark.parametrize(("name", "subtype"), CODINGS)
@pytest.mark.parametrize(("sample_rate", "channels"), [(16_000, 1), (44_100, 2), (8000, 1)])
def test_files_keep_rate_channels_length_and_coding(
    name: str, subtype: str, sample_rate: int, channels: int, tmp_path: Path, unchanged: Unchanged
) -> None:
    source, target = tmp_path / name, tmp_path / "out" / name
    sound = music(12_345, channels, sample_rate)
    soundfile.write(source, sound, sample_rate, subtype=subtype)
    assert enhance_files("model", [source], target) == [target]
    before, after = probe(source), probe(target)
    for fact in ("sample_rate", "channels", "frames", "format", "subtype"):
        assert getattr(after, fact) == getattr(before, fact), fact
    assert np.corrcoef(read(target)[0][:, 0], read(source)[0][:, 0])[0, 1] > 0.95
    if subtype in LOSSLESS and sample_rate == RATE:
        np.testing.assert_array_equal(read(target)[0], read(source)[0])
    elif subtype in LOSSLESS:
        np.testing.assert_allclose(read(target)[0][1000:-1000], sound[1000:-1000], atol=2e-4)


@pytest.mark.parametrize("frames", [0, 1, 3])
@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_the_shortest_files(frames: int, sample_rate: int, tmp_path: Path, model: Path) -> None:
    soundfile.write(tmp_path / "tiny.wav", np.full((frames, 2), 0.1), sample_rate)
    enhance_files(model, [tmp_path / "tiny.wav"], tmp_path / "out.wav")
    assert (probe(tmp_path / "out.wav").frames, probe(tmp_path / "out.wav").channels) == (frames, 2)


def test_files_sound_as_arrays_do(tmp_path: Path, model: Path) -> None:
    sound = music(11 * RATE, 2)
    soundfile.write(tmp_path / "in.wav", sound, RATE, subtype="FLOAT")
    enhance_files(model, [tmp_path / "in.wav"], tmp_path / "out.wav")
    np.testing.assert_array_equal(read(tmp_path / "out.wav")[0], enhance(model, sound.T, RATE).T)


def test_folders_keep_their_structure(tmp_path: Path, unchanged: Unchanged) -> None:
    for name in ("a.wav", "deep/er/b.flac", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            (tmp_path / "in" / name).write_text("not sound")
        else:
            soundfile.write(tmp_path / "in" / name, music(100), RATE)
    soundfile.write(tmp_path / "c.wav", music(100), RATE)
    written = enhance_files("model", [tmp_path / "in", tmp_path / "c.wav"], tmp_path / "out")
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in written)
    assert names == ["a.wav", "c.wav", "deep/er/b.flac"]
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == sorted(written)


def test_another_suffix_is_another_format(tmp_path: Path, unchanged: Unchanged) -> None:
    soundfile.write(tmp_path / "in.wav", music(1000), RATE, subtype="PCM_24")
    soundfile.write(tmp_path / "in.ogg", music(1000), RATE)
    enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.flac")
    enhance_files("model", [tmp_path / "in.ogg"], tmp_path / "out.wav")
    flac, wav = probe(tmp_path / "out.flac"), probe(tmp_path / "out.wav")
    assert (flac.format, flac.subtype) == ("FLAC", "PCM_24")
    assert (wav.format, wav.subtype) == ("WAV", "PCM_16")


def test_samples_beyond_full_scale_are_limited_and_counted(
    tmp_path: Path, unchanged: Unchanged, capsys: pytest.CaptureFixture[str]
) -> None:
    unchanged.output_gain = 4.0
    sound = np.array([0.1, 0.5, -0.5, 0.2], np.float32)
    for name, subtype in (("int.wav", "PCM_16"), ("float.wav", "FLOAT")):
        soundfile.write(tmp_path / name, sound, RATE, subtype=subtype)
    enhance_files("model", [tmp_path / "int.wav", tmp_path / "float.wav"], tmp_path / "out")
    printed = capsys.readouterr().out
    assert "int.wav: 2 samples went beyond full scale" in printed
    assert "float.wav" not in printed
    assert "Level correction on: output multiplied by 4" in printed
    limited, kept = (read(tmp_path / "out" / name)[0][:, 0] for name in ("int.wav", "float.wav"))
    np.testing.assert_allclose(limited, [0.4, 1.0, -1.0, 0.8], atol=1e-4)
    np.testing.assert_array_equal(kept, 4 * sound)


def test_what_was_done_is_said(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "in.wav", music(44_100, 1, 44_100), 44_100)
    enhance_files(model, [tmp_path / "in.wav"], tmp_path / "out.wav")
    printed = capsys.readouterr().out
    assert f"1 file, 1.0 s of audio, enhanced by {model}" in printed
    assert "multiplied by -0.5, the factor in the model's card; negative: the network inverts" in printed
    assert "Of files at 44100 Hz nothing above 8000 Hz is kept" in printed
    enhance_files(model, [tmp_path / "in.wav"], tmp_path / "out2.wav", correct_level=False)
    assert "Level correction off: output not multiplied by -0.5" in capsys.readouterr().out
    np.testing.assert_allclose(
        read(tmp_path / "out.wav")[0], -0.5 * read(tmp_path / "out2.wav")[0], atol=1e-4
    )


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_32"])
def test_telephone_codings_that_cannot_be_sought_are_kept(
    subtype: str, tmp_path: Path, unchanged: Unchanged
) -> None:
    soundfile.write(tmp_path / "in.wav", music(12_345, 1, 8000), 8000, subtype=subtype)
    enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.wav")
    before, after = probe(tmp_path / "in.wav"), probe(tmp_path / "out.wav")
    assert (after.subtype, after.frames) == (subtype, before.frames)


def test_a_format_of_two_files_is_not_written(tmp_path: Path, unchanged: Unchanged) -> None:
    soundfile.write(tmp_path / "in.sd2", music(1000), RATE, subtype="PCM_16")
    with pytest.raises(UserError, match=r"'\.sd2'; use \.wav or \.flac"):
        enhance_files("model", [tmp_path / "in.sd2"], tmp_path / "out.sd2")
    assert not list(tmp_path.glob("*out*"))
