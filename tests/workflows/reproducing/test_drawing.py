"""Lines of scores over sizes, and a clip as each network makes it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf

from sedistill.common.errors import UserError
from sedistill.common.report.figures import CurveFigure
from sedistill.common.report.side_by_side import envelope
from sedistill.common.settings import check_settings
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.workflows.reproducing import drawing
from sedistill.workflows.reproducing.cells import Block, Cell, Line
from sedistill.workflows.reproducing.drawing import chosen_clip, pictures
from sedistill.workflows.reproducing.shipped import RECIPES
from sedistill.workflows.reproducing.table import Table, load_table
from tests.workflows.reproducing.conftest import NETWORK, TABLE

CHART = {"title": "By size", "view": "test", "x_label": "size", "lines": {"KD": {50: "l2", 25: "alone"}}}
PICTURE = {"title": "One clip", "set": "test", "panels": ["clean", "noisy", "teacher", "l2"]}


def table(**changes: object) -> Table:
    return check_settings(Table, {**TABLE, **changes}, "table")


def test_a_chart_has_ours_in_the_order_of_the_places_and_leaves_out_what_is_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[CurveFigure] = []
    monkeypatch.setattr(drawing, "curves_svg", lambda figure: drawn.append(figure) or "<svg/>")
    lines = {"KD": {50: "l2", 25: "alone"}, "quoted": {9: "quoted"}}
    with_chart = table(charts=[{**CHART, "lines": lines}])
    view, rows = with_chart.views["test"], {row.key: row for row in with_chart.rows}
    ours = {"alone": [7.0, 9.0], "l2": [11.0], "quoted": []}
    numbers = [Line(rows[key], 1, 3, [Cell(values, 5.0)]) for key, values in ours.items()]
    block = Block("test", view, view.columns, numbers)
    (figure,) = drawing.charts(with_chart, [block])
    assert (figure.key, figure.caption) == ("chart-1-si_sdr", "By size: SI-SDR")
    assert [(c.label, c.steps, c.values) for c in drawn[0].curves] == [("KD", [25, 50], [8.0, 11.0])]
    assert drawn[0].x_label == "size"


def write_pairs(folder: Path, levels: list[float]) -> FixedSet:
    random = np.random.default_rng(0)
    for number, level in enumerate(levels):
        clean = 0.1 * np.sin(np.arange(8000) / 9)
        for side, sound in (("clean", clean), ("noisy", clean + level * random.standard_normal(8000))):
            place = folder / side / f"{number}.wav"
            place.parent.mkdir(parents=True, exist_ok=True)
            sf.write(place, sound, 16_000)
    return FixedSet(folder)


def test_the_clip_of_a_picture(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path, [0.01, 0.01, 0.01])
    pairs.noise_classes = np.array([b"car", b"babble", b"babble"])
    pairs.snr_db = np.array([3.0, 1.0, 2.0])
    assert chosen_clip(pairs, "babble", 0) == 1
    assert [chosen_clip(pairs, "leopard", number) for number in range(4)] == [1, 2, 0, 1]
    assert chosen_clip(pairs, None, 1) == 2


def test_a_picture_shows_what_is_finished(tmp_path: Path) -> None:
    write_pairs(tmp_path / "sets", [0.02])
    run = SimpleNamespace(student=Path("student"), folder=Path("run"))
    save_model(build_model(NETWORK), tmp_path / "student", {"output_gain": 1.0})
    shown = table(pictures=[PICTURE])
    finished = SimpleNamespace(
        table=shown, output=tmp_path, runs_of=lambda row: [run] if row.key == "teacher" else []
    )
    sources = SimpleNamespace(set=lambda name: tmp_path / "sets")
    (figure,) = pictures(finished, sources)  # type: ignore[arg-type]
    assert figure.key == "picture-1"
    assert figure.caption.startswith("One clip. 0.wav: noise of a kind that is not known")
    assert figure.svg.count("<image") == 3, "a spectrogram each of clean, noisy and teacher; l2 is not there"


def test_an_envelope_leaves_no_sample_out() -> None:
    samples = np.random.default_rng(0).standard_normal(6001)
    low, high = envelope(samples)
    assert (len(low), low.min(), high.max()) == (600, samples.min(), samples.max())
    assert [list(side) for side in envelope(np.array([1.0, -2.0]))] == [[1.0, -2.0], [1.0, -2.0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"charts": [{**CHART, "lines": {"KD": {1: "l3"}}}]}, "By size: there is no row l3"),
        ({"charts": [{**CHART, "view": "size"}]}, "By size: there is no view size of means"),
        ({"pictures": [{**PICTURE, "panels": ["clean", "l3"]}]}, "One clip: there is no row l3"),
        ({"pictures": [{**PICTURE, "set": "dev"}]}, "One clip: there is no set dev"),
    ],
)
def test_drawings_of_what_is_not_there_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        table(**changes)


def test_the_paper_with_drawings_that_ships() -> None:
    recipes = RECIPES / "kdrl"
    sizes = {x for line in load_table(recipes / "figure6").charts[0].lines.values() for x in line}
    assert sizes == {12, 25, 50, 75, 100}
    assert [picture.noise for picture in load_table(recipes / "figure8-9").pictures] == [
        "leopard",
        "machinegun",
    ]
