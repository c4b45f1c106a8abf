"""What a table folder says: rows with their recipes, views with the paper's numbers, data, scales."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from sedistill.analyzing.categories import CATEGORIES
from sedistill.common.errors import UserError
from sedistill.common.paths import Name, PlainName
from sedistill.common.settings import Count, Settings, load_settings
from sedistill.data.grid_sets import GridSettings
from sedistill.data.layouts import LAYOUTS
from sedistill.data.mixing import MixingSettings
from sedistill.data.set_files import MOST_CLIPS
from sedistill.evaluation.metrics import METRICS
from sedistill.models.ready_made import is_ready_made
from sedistill.teachers.opening import DEEPFILTERNET
from sedistill.workflows.reproducing.shipped import TABLE

NOISY_ROW = "noisy"
"""The row of this key is the unprocessed input."""
CLEAN_PANEL = "clean"
ScaleName = Literal["full", "small"]


class CorpusSettings(Settings):
    """A corpus, looked for under its name in the folder that `--data` names."""

    layout: str = Field(description="As `sedistill prepare --layout`.")
    hours: float = Field(gt=0, le=1e6, description="Clean training speech as published; plans count on it.")
    clips: Count | None = Field(
        None, description="Of ready pairs, how many are published for training; plans count on it."
    )
    valid_speakers: list[str] | None = Field(
        None, min_length=1, description="Of VoiceBank+DEMAND, who validates; default: as the layout has it."
    )

    @field_validator("layout")
    @classmethod
    def _known(cls, layout: str) -> str:
        if layout not in LAYOUTS:
            raise ValueError(f"unknown layout '{layout}'; choose one of {', '.join(LAYOUTS)}.")
        return layout


class SetSettings(Settings):
    """A fixed set: mixed from a corpus, or a folder of pairs below `--data` used as it is."""

    label: str = Field("", description="What it is, for the result; of sets that are scored.")
    corpus: str | None = None
    pairs: str | None = Field(None, description="A folder with noisy/ and clean/ below `--data`.")
    split: str = "test"
    count: int = Field(ge=1, le=MOST_CLIPS, description="Clips; of a grid and of pairs, what is expected.")
    seed: int = Field(0, ge=0, lt=2**63, description="Another seed, other mixtures.")
    mixing: MixingSettings | None = None
    grid: GridSettings | None = None
    optional: bool = Field(False, description="Leave out what is scored on it where it is not there.")

    @model_validator(mode="after")
    def _one_origin(self) -> "SetSettings":
        if (self.corpus is None) == (self.pairs is None):
            raise ValueError("a set is mixed from a `corpus` or is a folder of `pairs`; give one of them.")
        if self.mixing is not None and self.grid is not None:
            raise ValueError("give `mixing` or `grid`, not both.")
        if self.pairs is not None and (self.mixing or self.grid):
            raise ValueError("a folder of pairs is not mixed; take out mixing and grid.")
        return self


class Scale(Settings):
    """On what data, and with which changes to every recipe, a table is made.

    `recipe` is merged over all of them, then what `networks` says of the recipe's network (by its preset) and
    what `recipes` says of the recipe (by its name). A `student` given there takes the place of the old one.
    """

    corpora: dict[PlainName, CorpusSettings] = Field(default_factory=dict)
    sets: dict[PlainName, SetSettings] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    recipes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    note: str = ""

    @model_validator(mode="after")
    def _sets_have_corpora(self) -> "Scale":
        for name, one in self.sets.items():
            if one.corpus is not None and one.corpus not in self.corpora:
                raise ValueError(f"the set {name} is of the corpus {one.corpus}, which is not among corpora.")
        return self


class View(Settings):
    """Numbers of one kind for every row: a block of columns, or a printed table of its own.

    statistic: `mean` over clips; `sd` over clips; `t_test`: t and p of Student's two-sample test over
    clips against the row `against`; `size`: million parameters and true GMAC of a second; `ratio`: KDRL's
    mean ratio over the last tenth of the training.
    """

    title: str
    statistic: Literal["mean", "sd", "t_test", "size", "ratio", "patches"] = "mean"
    set: str | None = None
    metrics: list[str] = Field(default_factory=list)
    by: Literal["snr", "noise"] | None = None
    groups: list[str] = Field(default_factory=list, description="SNRs such as -7.5 dB, or noise classes.")
    against: str | None = None
    percent: list[str] = Field(default_factory=list, description="Metrics that the paper prints times 100.")
    rows: list[str] | None = Field(None, description="Keys of the rows shown; default: all.")
    note: str = ""

    @property
    def is_scored(self) -> bool:
        """Whether its numbers come from an evaluation."""
        return self.statistic in ("mean", "sd", "t_test")

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(quantity, group) of every column, in the order of the paper's numbers; group "" is all clips."""
        if self.statistic == "size":
            return [("parameters", ""), ("macs", "")]
        if self.statistic == "ratio":
            return [("ratio", "")]
        if self.statistic == "patches":
            return [(category, "") for category in CATEGORIES]
        if self.statistic == "t_test":
            return [(f"{metric}:{value}", "") for metric in self.metrics for value in ("t", "p")]
        return [(metric, group) for group in (self.groups or [""]) for metric in self.metrics]

    @model_validator(mode="after")
    def _complete(self) -> "View":
        unknown = [metric for metric in (*self.metrics, *self.percent) if metric not in METRICS]
        if unknown:
            raise ValueError(f"there is no metric '{unknown[0]}'; known are {', '.join(METRICS)}.")
        if self.is_scored != (self.set is not None) or self.is_scored != bool(self.metrics):
            raise ValueError(
                f"{self.title}: `set` and `metrics` go with mean, sd and t_test, and only there."
            )
        if bool(self.by) != bool(self.groups):
            raise ValueError(f"{self.title}: `by` and `groups` go together.")
        if (self.statistic == "t_test") != (self.against is not None):
            raise ValueError(f"{self.title}: `against` goes with t_test, and t_test needs it.")
        return self


class Row(Settings):
    """A line of the table."""

    key: str = Field(description="Names it on the command line.", pattern=r"^[a-z0-9][a-z0-9.+-]*$")
    label: str
    recipe: Name | None = Field(
        None, description="Recipe below the paper's folder, without .yaml; none: noisy, or only quoted."
    )
    baseline: str | None = Field(None, description="Key of the row over which this one is to be a gain.")
    model: str | None = Field(
        None,
        description="Instead of a recipe, what is scored as it is: a ready-made model, or deepfilternet.",
    )
    network: str | None = Field(None, description="A preset, to show the size of a row that is only quoted.")
    seeds: int | None = Field(None, ge=1, le=10_000, description="At most so many seeds; teachers have one.")
    paper: dict[str, list[float | None]] = Field(
        default_factory=dict, description="The paper's numbers by view, one a column, null where none."
    )
    note: str = ""

    @model_validator(mode="after")
    def _one_origin(self) -> "Row":
        if self.model is not None and self.recipe is not None:
            raise ValueError(f"row {self.key}: it is trained by a recipe or scored as a model, not both.")
        if self.model is not None and not (self.model == DEEPFILTERNET or is_ready_made(self.model)):
            raise ValueError(f"row {self.key}: {self.model} is no ready-made model, and not {DEEPFILTERNET}.")
        return self


class ComparedRows(Settings):
    """Rows held against one by `sedistill compare`, and the worst clips of the first of them to hear."""

    title: str
    baseline: str
    rows: list[str] = Field(min_length=1)
    teacher: str | None = None
    hear: PlainName = Field(description="Of this view's set the clips in which its first metric lost most.")


class Chart(Settings):
    """Means of a view as lines over something in which rows differ, a drawing for each of its metrics."""

    title: str
    view: str
    x_label: str
    lines: dict[str, dict[float, str]] = Field(
        min_length=1, max_length=4, description="By label: the key of the row at each place."
    )


class Picture(Settings):
    """One clip of a set, its waveform and spectrogram, as it is and as the networks of rows make it."""

    title: str
    set: str
    noise: str | None = Field(
        None, description="Take the first clip with this noise; else, and where there is none, a noisy one."
    )
    panels: list[str] = Field(min_length=1, description="clean, noisy and keys of rows, from top to bottom.")


class Table(Settings):
    """A table of a paper, as table.yaml describes it."""

    title: str
    paper: str
    note: str = ""
    views: dict[PlainName, View]
    rows: list[Row]
    charts: list[Chart] = Field(default_factory=list)
    pictures: list[Picture] = Field(default_factory=list)
    compared: dict[PlainName, ComparedRows] = Field(default_factory=dict)
    scales: dict[ScaleName, Scale] = Field(default_factory=dict)

    @property
    def trains(self) -> bool:
        """Whether anything has to be trained for it; sizes of networks need no data."""
        return any(view.statistic != "size" for view in self.views.values())

    def shows(self, statistic: str) -> bool:
        """Whether a view is of this kind."""
        return any(view.statistic == statistic for view in self.views.values())

    def shown(self, view: str) -> list[Row]:
        """The rows of a view; noisy sound has scores alone."""
        keys, is_scored = self.views[view].rows, self.views[view].is_scored
        rows = [row for row in self.rows if is_scored or row.key != NOISY_ROW]
        return [row for row in rows if keys is None or row.key in keys]

    @model_validator(mode="after")
    def _fits_together(self) -> "Table":
        keys = [row.key for row in self.rows]
        doubled = [key for key in keys if keys.count(key) > 1]
        if doubled:
            raise ValueError(f"two rows have the key {doubled[0]}.")
        for name, view in self.views.items():
            self._view_fits(name, view, keys)
        for row in self.rows:
            if row.baseline is not None and row.baseline not in set(keys) - {row.key}:
                raise ValueError(f"row {row.key}: its baseline {row.baseline} is no other row.")
            self._numbers_fit(row)
        for chart in self.charts:
            self._rows_exist(chart.title, [key for line in chart.lines.values() for key in line.values()])
            if chart.view not in self.views or self.views[chart.view].statistic != "mean":
                raise ValueError(f"{chart.title}: there is no view {chart.view} of means.")
        for one in self.compared.values():
            named = [one.baseline, *one.rows, *filter(None, [one.teacher])]
            self._rows_exist(one.title, named)
            if one.hear not in self.views or self.views[one.hear].set is None:
                raise ValueError(f"{one.title}: there is no view {one.hear} of a set.")
        for picture in self.pictures:
            self._rows_exist(picture.title, [k for k in picture.panels if k not in (CLEAN_PANEL, NOISY_ROW)])
            if picture.set not in self.scales["full"].sets:
                raise ValueError(f"{picture.title}: there is no set {picture.set} at full scale.")
        return self

    def _rows_exist(self, title: str, keys: list[str]) -> None:
        unknown = [key for key in keys if key not in {row.key for row in self.rows}]
        if unknown:
            raise ValueError(f"{title}: there is no row {unknown[0]}.")

    def _view_fits(self, name: str, view: View, keys: list[str]) -> None:
        unknown = [key for key in (*(view.rows or ()), *filter(None, [view.against])) if key not in keys]
        if unknown:
            raise ValueError(f"view {name}: there is no row {unknown[0]}.")
        if view.set is not None and view.set not in self.scales["full"].sets:
            raise ValueError(f"view {name}: there is no set {view.set} at full scale.")

    def _numbers_fit(self, row: Row) -> None:
        for name, numbers in row.paper.items():
            if name not in self.views:
                raise ValueError(f"row {row.key}: there is no view {name}.")
            columns = self.views[name].columns
            if len(numbers) != len(columns):
                raise ValueError(
                    f"row {row.key}, view {name}: {len(numbers)} numbers, {len(columns)} columns."
                )


def load_table(folder: Path) -> Table:
    """The table that a folder describes. Raises UserError."""
    if not (folder / TABLE).is_file():
        inside = sorted(path.parent.name for path in folder.glob(f"*/{TABLE}"))
        hint = f"it holds the tables {', '.join(inside)}" if inside else "give a folder that has one"
        raise UserError(f"{folder} has no {TABLE}; {hint}.")
    return load_settings(Table, folder / TABLE)
