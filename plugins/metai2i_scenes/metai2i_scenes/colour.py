"""Colours as triples of floats in 0..1 (sRGB), and the few operations that drawing needs."""

from __future__ import annotations

import math

RGB = tuple[float, float, float]


def oklch(lightness: float, chroma: float, hue: float) -> RGB:
    """Return the sRGB colour of an OKLCH one (Ottosson, "A perceptual color space for image processing", 2020).

    Equal steps of `lightness` look equal for every hue, so palettes drawn at random stay balanced. Colours outside
    sRGB are clipped.

    Args:
        lightness: 0 (black) to 1 (white).
        chroma: 0 (grey) to about 0.3.
        hue: degrees; 30 is red, 90 yellow, 140 green, 250 blue.

    >>> [round(c, 3) for c in oklch(1.0, 0.0, 0.0)]
    [1.0, 1.0, 1.0]
    """
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encode(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _encode(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encode(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def _encode(linear: float) -> float:
    """Return the sRGB transfer curve, clipped to 0..1."""
    linear = min(max(linear, 0.0), 1.0)
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def mix(a: RGB, b: RGB, t: float) -> RGB:
    """Return `a` for t = 0, `b` for t = 1."""
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


def scale(a: RGB, k: float) -> RGB:
    """Return `a`, k times as bright; not clipped."""
    return (a[0] * k, a[1] * k, a[2] * k)


def times(a: RGB, b: RGB) -> RGB:
    """Return what a surface of colour `a` shows under light of colour `b`."""
    return (a[0] * b[0], a[1] * b[1], a[2] * b[2])


def plus(a: RGB, b: RGB) -> RGB:
    """Return the sum of two lights; not clipped."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])
