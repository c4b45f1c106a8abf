"""How large and how costly a network is, under the roof of what is measured; counted in models/."""

from sedistill.models.complexity import macs_per_second, parameters

__all__ = ["macs_per_second", "parameters"]
