"""The examples in docstrings are run, and formulas have them."""

import doctest
import importlib
import random
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import sedistill

ROOT = Path(sedistill.__file__).parent
WITH_EXAMPLES = sorted(path for path in ROOT.rglob("*.py") if "\n    >>> " in path.read_text("utf-8"))
FORMULAS = {
    "sedistill.audio.levels": {"db_to_gain", "rms_db", "active_level_db", "snr_db", "clipping_guard"},
    "sedistill.audio.si_snr": {"negative_si_snr"},
    "sedistill.audio.spectrum": {"Stft"},
    "sedistill.distill.bin_losses": {"MagnitudeL1", "MagnitudeL2", "ComplexL1", "ComplexL2"},
    "sedistill.distill.dispatch": {"DISPatch"},
    "sedistill.distill.dfkd": {"DFKDLoss"},
    "sedistill.distill.kdrl": {"loss_weights", "reward", "bounded_target", "policy_loss"},
    "sedistill.distill.selection": {"keep_top"},
    "sedistill.evaluation.composite": {"csig", "cbak", "covl"},
}


def module_of(path: Path) -> ModuleType:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return importlib.import_module(".".join(parts).removesuffix(".__init__"))


def examples_in(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


@pytest.mark.parametrize("path", [ROOT / "__init__.py", *WITH_EXAMPLES], ids=lambda p: p.stem)
def test_examples_give_what_they_say(path: Path) -> None:
    tests = examples_in(module_of(path))
    assert tests
    runner = doctest.DocTestRunner(verbose=False)
    for test in tests:
        random.seed(0), np.random.seed(0), torch.manual_seed(0)
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_have_an_example(name: str) -> None:
    found = {test.name.removeprefix(f"{name}.") for test in examples_in(importlib.import_module(name))}
    assert found >= FORMULAS[name]
