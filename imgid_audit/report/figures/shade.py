"""Steps of a heat map's shade: one hue, light to dark, so that it reads in grey and colour-blind."""

from __future__ import annotations

STEPS = 9

SHARES = "Darker is more."


def shade(value: float, low: float, high: float) -> int:
    """Step 0 (light) to 8 (dark) of a value on the scale [low, high]."""
    share = (value - low) / (high - low) if high > low else 0.0
    return min(int(min(max(share, 0.0), 1.0) * STEPS), STEPS - 1)


def scale(values: list[float], least: float = 0.2) -> tuple[float, float]:
    """The scale of a heat map: the values' range, widened to `least` so that noise does not look like a cliff.

    It stays within [0, 1] where the values do.
    """
    low, high = min(values), max(values)
    short = max(least - (high - low), 0.0) / 2
    shift = max(short - low, 0.0) if low >= 0 else 0.0
    shift -= max(high + short - 1, 0.0) if high <= 1 else 0.0
    return low - short + shift, high + short + shift
