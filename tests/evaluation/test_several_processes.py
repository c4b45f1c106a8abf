"""`sedistill evaluate` by several processes: the files of one, bit for bit."""

from pathlib import Path

import numpy as np

from sedistill.audio.files import write
from sedistill.evaluation.command import evaluate_models
from tests.evaluation.pairs import FAST, write_pairs
from tests.evaluation.signals import RATE, speech_like
from tests.together import one_sentence, together, told


def test_three_processes_write_the_table_of_one(pairs: Path, student: Path, tmp_path: Path) -> None:
    """Of numbers of clips that three does not divide, of a clip without a score, and of a late one."""
    late = write_pairs(tmp_path / "late", clips=4, seconds=0.6)
    write(late / "clean" / "broken.wav", np.zeros(RATE), RATE)
    write(late / "noisy" / "broken.wav", np.zeros(RATE), RATE)
    shifted = np.roll(speech_like(0.6, seed=0, sample_rate=RATE), 400)
    write(late / "noisy" / "0.wav", shifted, RATE)

    def scored(output: Path) -> None:
        evaluate_models([student], [pairs, late], output, ["si_sdr"], workers=1, align=True, show=True)

    scored(tmp_path / "1")
    tables = {path.relative_to(tmp_path / "1"): path.read_bytes() for path in (tmp_path / "1").rglob("*.csv")}
    assert len(tables) == 4
    assert b"broken" in tables[Path("late/clips.csv")]
    codes = together(lambda rank: scored(tmp_path / "3"), 3, tmp_path / "said")
    assert codes == [0] * 3, told(tmp_path / "said")
    assert not any(text for rank, text in told(tmp_path / "said").items() if rank != "0")
    for place, table in tables.items():
        assert (tmp_path / "3" / place).read_bytes() == table, place


def test_what_differs_and_what_is_wrong_is_told_once(pairs: Path, student: Path, tmp_path: Path) -> None:
    other = write_pairs(tmp_path / pairs.name, clips=2)
    said, output = tmp_path / "said", tmp_path / "out"
    for sets, fault in (
        ([pairs, other], f"process 1 has another {pairs.name} than process 0"),
        ([tmp_path / "none"] * 2, "none"),
    ):
        codes = together(lambda rank: evaluate_models([student], [sets[rank]], output, FAST), 2, said)  # noqa: B023
        assert codes == [2, 2], told(said)
        assert fault in one_sentence(said)
        assert not output.exists()
