"""The signals that a loss over bins is given, as far as it needs them, in one form."""

from collections.abc import Callable, Collection, Mapping

from torch import Tensor

Teachers = Tensor | Mapping[str, Tensor]
"""One signal, or those of several teachers by their names."""
ONE_OF = "teacher "
"""Before the name of one of several."""


def take_needed(
    needs: Collection[str], student: Tensor, teacher: Teachers | None, clean: Tensor | None,
    noisy: Tensor | None, form: Callable[[Tensor], Tensor], explaining: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """Those that are needed, by name; all but the student's are constants.

    explaining: clean speech and teacher are looked at in any case. Raises ValueError for a missing signal or
    shapes that differ.
    """
    signals = {"student": form(student)}
    wanted = {*needs, *(("teacher", "clean") if explaining else ())}
    given: dict[str, Tensor | None] = {}
    if isinstance(teacher, Mapping):
        given = {ONE_OF + name: one for name, one in teacher.items()}
        if "teacher" in wanted:
            wanted |= {"clean", *given}  # the one nearest to the clean speech is chosen
    else:
        given["teacher"] = teacher
    for name, signal in {**given, "clean": clean, "noisy": noisy}.items():
        if name not in wanted:
            continue
        if signal is None:
            raise ValueError(f"this loss needs the {name} signal, but got None")
        formed = form(signal).detach()
        if formed.shape != signals["student"].shape or len(signal) != len(student):
            raise ValueError(
                f"student {tuple(student.shape)} and {name} {tuple(signal.shape)} differ in shape"
            )
        signals[name] = formed
    return signals
