"""The signals that a loss over bins is given, as far as it needs them, in one form."""

from collections.abc import Callable, Collection, Mapping

from torch import Tensor

from sedistill.audio.spectrum import at_least_float32

Teachers = Tensor | Mapping[str, Tensor]
"""One signal, or those of several teachers by their names."""
ByName = Mapping[str, Tensor] | None
"""Those of several teachers beside the one that they are together, where it is asked how well they agree."""
ONE_OF = "teacher "
"""Before the name of one of several."""


def take_needed(
    needs: Collection[str], student: Tensor, teacher: Teachers | None, clean: Tensor | None,
    noisy: Tensor | None, teachers: ByName, form: Callable[[Tensor], Tensor], explaining: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """Those that are needed, by name; all but the student's are constants, as precise as that is, or single.

    explaining: clean speech and teacher are looked at in any case. Raises ValueError for a missing signal,
    shapes that differ, or one teacher where several are compared.
    """
    signals = {"student": form(student)}
    precision = at_least_float32(signals["student"][:0]).dtype
    wanted = {*needs, *(("teacher", "clean") if explaining else ())}
    given: dict[str, Tensor | None] = {}
    if not isinstance(teacher, Mapping):
        given["teacher"] = teacher
    else:
        teachers = teacher
        if "teacher" in wanted:
            if not teacher:
                raise ValueError("this loss needs the teacher signal, but got none by name")
            wanted |= {"clean", "teachers"}  # among them the one nearest to the clean speech is chosen
    if "teachers" in needs and len(teachers or {}) < 2:
        raise ValueError("agreement is between two teachers at least; give `teachers` by name")
    if "teachers" in wanted:
        named = {ONE_OF + name: one for name, one in (teachers or {}).items()}
        given |= named
        wanted |= set(named)
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
        signals[name] = formed.to(precision)  # soundfile and numpy give float64
    return signals
