"""What pages let one hear is what was scored."""

from pathlib import Path

import numpy as np

from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.scores import NOISY, ClipScore
from sedistill.inference.enhancing import enhance
from sedistill.models.presets import build_model
from sedistill.workflows.page_contents import waves_of
from tests.evaluation.pairs import write_pairs


def test_a_set_of_another_rate_than_the_networks_is_heard_as_it_was_scored(tmp_path: Path) -> None:
    pairs = FixedSet(write_pairs(tmp_path / "set", clips=1, sample_rate=32_000, seconds=0.3))
    network = build_model("convtasnet-tiny").eval()
    waves = waves_of(pairs, ClipScore(NOISY, "0", 0.3, 5.0, "", {}), {"alone": network})
    np.testing.assert_array_equal(waves["alone"], enhance(network, pairs.noisy(0), 32_000))
