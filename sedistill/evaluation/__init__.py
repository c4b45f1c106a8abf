"""How good, how large, how costly."""
