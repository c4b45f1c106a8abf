"""From what was measured to what one would begin with, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from sedistill.training.recipe.objectives import AnyObjective, ObjectiveSettings
from sedistill.workflows.advising.nearness import KEPT_SHARES, Nearness
from sedistill.workflows.advising.pull import Pull

POWER = 0.3
WANTED = 0.5
"""The pull of the objective against that of the student's own loss, to begin with."""
NEARLY_ALL = 0.95
"""In so many of the patches: a gate, or a selection, would leave out nothing worth a word."""
HELD = 0.98
"""Of what there is to learn: patches that hold so much of it are enough."""
NAMES = {"noisy": "noisy input", "student": "student"}


@dataclass(frozen=True)
class Choice:
    """What one would begin with. objective: as in a recipe; reasons: a sentence for each of its keys."""

    objective: dict[str, Any]
    reasons: dict[str, str]
    pull: Pull
    warning: str

    @property
    def settings(self) -> ObjectiveSettings:
        return as_settings(self.objective)


def as_settings(objective: dict[str, Any]) -> ObjectiveSettings:
    return TypeAdapter(AnyObjective).validate_python(objective)


def choose(whole: Nearness, magnitudes: Nearness, measure: Callable[[ObjectiveSettings], Pull]) -> Choice:
    """whole: by compressed complex spectra; magnitudes: by their magnitudes alone; measure: the pull."""
    objective, reasons = _loss(whole, magnitudes)
    seen = magnitudes if objective["loss"] == "l2" else whole
    for key, (value, why) in (("gate", _gate(seen)), ("keep", _keep(seen))):
        reasons[key] = why
        if value is not None:
            objective[key] = value
    pull = measure(as_settings(objective))
    objective["weight"], reasons["weight"] = _weight(pull)
    return Choice(objective, reasons, pull, _warning(seen))


def _loss(whole: Nearness, magnitudes: Nearness) -> tuple[dict[str, Any], dict[str, str]]:
    by_both, by_magnitude = whole.all.error_db["noisy"], magnitudes.all.error_db["noisy"]
    compressed = f"compressed (power {POWER:g}), so that quiet bins count"
    if by_magnitude < 0 <= by_both:
        return {"loss": "l2", "power": POWER}, {
            "loss": f"magnitudes alone, {compressed}: by them the teacher's error is {by_magnitude:+.1f} dB "
            f"against the noisy input, with its phases {by_both:+.1f} dB."
        }
    return {"loss": "complex_l2", "power": POWER}, {
        "loss": f"spectra with their phases, {compressed}: by them the teacher's error is {by_both:+.1f} dB "
        f"against the noisy input, by magnitudes alone {by_magnitude:+.1f} dB."
    }


def _gate(seen: Nearness) -> tuple[str | None, str]:
    nearer = seen.all.nearer
    behind = [rival for rival in seen.rivals if nearer[rival] < NEARLY_ALL]
    told = " and ".join(f"behind the {NAMES[rival]} in {1 - nearer[rival]:.0%}" for rival in behind)
    if not behind:
        return None, f"none: the teacher is ahead in {min(nearer.values()):.0%} of the patches and more."
    gate = "teacher_over_both" if len(behind) > 1 else f"teacher_over_{behind[0]}"
    return gate, f"the teacher is {told} of the patches; nothing is learnt there."


def _keep(seen: Nearness) -> tuple[float | None, str]:
    rival = seen.rivals[-1]
    for share in KEPT_SHARES:
        held = seen.held_by(share, rival)
        if held >= HELD:
            return share, f"that share of each clip's patches holds {held:.0%} of what the teacher is ahead."
    held = seen.held_by(KEPT_SHARES[-1], rival)
    return None, (
        f"1, all patches: the best {KEPT_SHARES[-1]:.0%} hold {held:.0%} of what the teacher is ahead, so "
        "there is something to learn in the rest too."
    )


def _weight(pull: Pull) -> tuple[float, str]:
    if not pull.ratio:
        return 1.0, "on this sample nothing of the objective is left to pull."
    wanted = WANTED if pull.cosine >= 0 else WANTED / 2
    weight = float(f"{wanted / pull.ratio:.2g}")
    apart = "" if pull.cosine >= 0 else f", and points away from it (cosine {pull.cosine:.2f})"
    return weight, (
        f"at weight 1 it pulls {pull.ratio:.3g} times as hard as the student's own loss{apart}; so it pulls "
        f"{wanted:g} times as hard."
    )


def _warning(seen: Nearness) -> str:
    if seen.all.error_db["noisy"] >= 0:
        return (
            "This teacher is no nearer to the clean speech than the noisy input is: a student is better off "
            "alone, or with another teacher."
        )
    if "student" in seen.rivals and seen.all.error_db["student"] >= 0:
        return (
            "The student is ahead of this teacher on the whole: only the patches where it is behind are left "
            "to learn from. Take another teacher, if there is one."
        )
    return ""
