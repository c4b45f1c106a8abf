"""Large numbers for people."""


def human_count(value: float) -> str:
    """A count as people say it, three digits at most: 36 k, 1.46 M, 9.8 G."""
    for divisor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * divisor:
            scaled = value / divisor
            digits = 0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2
            text = f"{scaled:.{digits}f}"
            return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"
    return f"{value:.0f}"
