"""The command: say what each path is, and name everything in it that is not as it was written."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.interruption import safe_moment
from sedistill.common.reading import shown
from sedistill.common.wording import counted
from sedistill.data import corpus_facts, set_files
from sedistill.evaluation import scores
from sedistill.evaluation.comparing import command as comparing
from sedistill.models.ready_made import CARD
from sedistill.teachers import cached
from sedistill.training.run_folder.config import CONFIG
from sedistill.workflows.checking.data_checks import check_corpus, check_set
from sedistill.workflows.checking.trained import (
    check_checkpoint,
    check_comparison,
    check_evaluation,
    check_model,
    check_outputs,
    check_run,
)

Check = Callable[[Path], list[str]]

# What a folder of the kind holds, the kind, and what looks for its faults.
KINDS: Sequence[tuple[str, str, Check]] = (
    (corpus_facts.FACTS, "a corpus", check_corpus),
    (set_files.FACTS, "a fixed set", check_set),
    (CONFIG, "a run", check_run),
    (CARD, "a saved model", check_model),
    (scores.FACTS, "an evaluation", check_evaluation),
    (f"*/{scores.FACTS}", "an evaluation", check_evaluation),
    (comparing.FACTS, "a comparison", check_comparison),
    (cached.FACTS, "kept outputs of a teacher", check_outputs),
    ("noisy", "a set of pairs", check_set),
)


def check_paths(paths: Sequence[Path]) -> bool:
    """Look at every path and print what it is and every fault. Returns whether there was none.

    Raises UserError for a path that is nothing of what is known.
    """
    found = [(path, *kind_of(path)) for path in paths]
    sound = True
    for path, kind, check in found:
        safe_moment()
        try:
            faults = check(path)
        except UserError as error:
            faults = [str(error)]
        found_of_it = f"{counted(len(faults), 'fault')}:" if faults else "as it was written"
        print(f"{shown(path)}: {kind}, {found_of_it}", flush=True)
        for fault in faults:
            print(f"  {fault.rstrip('.')}")
        sound = sound and not faults
    return sound


def kind_of(path: Path) -> tuple[str, Check]:
    """What a path is, and what looks for its faults. Raises UserError."""
    if path.is_file() and path.suffix == ".ckpt":
        return "a checkpoint", check_checkpoint
    for marker, kind, check in KINDS:
        if path.is_dir() and any(path.glob(marker)):
            return kind, check
    fault = "is nothing that can be checked" if path.exists() else "does not exist"
    raise UserError(
        f"{shown(path)} {fault}; give a corpus, a set, a run, a saved model, a checkpoint, an evaluation or "
        "a teacher's kept outputs."
    )
