"""What a benchmark found, as plain data."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sedistill.common.provenance import Provenance
from sedistill.workflows.benchmarking.cases import label_of
from sedistill.workflows.benchmarking.timed_job import Costs

METRICS = ("pesq_wb", "estoi", "si_sdr")
"""Of quality; the first is the picture's."""


@dataclass
class Row:
    """A case, what was measured of it, and where it could not be measured, why.

    real_time_all: as `Costs.real_time`, on all cores; None where a way takes one thread.
    scores: means over the set by metric; empty without a set, and for a network that is not trained.
    """

    network: str
    way: str
    costs: Costs | None = None
    real_time_all: float | None = None
    parameters: int | None = None
    macs_per_second: int | None = None
    bytes: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    refused: str | None = None

    @property
    def label(self) -> str:
        return label_of(self.network, self.way)


@dataclass
class Benchmark:
    """All rows; `noisy` are the scores of the input itself, `warnings` what makes them doubtful."""

    rows: list[Row]
    cores: int
    seconds: float
    rounds: int
    set_name: str | None
    clips: int
    noisy: dict[str, float]
    warnings: list[str]
    made_by: Provenance

    def facts(self) -> dict[str, Any]:
        """For programs: all of it as plain data."""
        plain = {name: value for name, value in vars(self).items() if name not in ("rows", "made_by")}
        return {**plain, "rows": [asdict(row) for row in self.rows], **self.made_by.facts()}
