"""What a scene looks like: everything about it that stays while its frames change.

A model that has not seen the scene cannot know these values; a few pairs of the scene reveal them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np

from metai2i_scenes.colour import RGB, mix, oklch, plus, scale, times

Weather = Literal["clear", "golden", "overcast", "fog", "rain", "night", "dusk", "snow"]
WEATHERS: tuple[Weather, ...] = get_args(Weather)

T = TypeVar("T")


class Draw:
    """Short ways to draw from a generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def real(self, low: float, high: float) -> float:
        """Return a real number in [low, high)."""
        return float(self.rng.uniform(low, high))

    def chance(self, p: float) -> bool:
        """Return True with probability `p`."""
        return bool(self.rng.random() < p)

    def choice(self, choices: Sequence[T]) -> T:
        """Return one of several."""
        return choices[int(self.rng.integers(len(choices)))]


@dataclass(frozen=True)
class Light:
    """Sky, sun and air of a street.

    Args:
        sun: unit vector towards the sun: right, up, ahead.
        sun_colour: what the sun adds on a surface that faces it.
        ambient: what reaches every surface.
        sky_top: the colour of the sky at the zenith.
        sky_low: its colour at the horizon.
        cloud: the colour of the clouds.
        clouds: how much of the sky they cover, 0 to 1.
        haze: the colour of far things.
        density: haze per metre: a surface keeps exp(-density * distance) of its own colour.
        wet: how much the road mirrors, 0 to 1.
        lamps: whether lamps, windows and headlights shine.
        snow: whether snow lies.
        rain: how visible falling rain or snow is, 0 to 1.
        disc: how bright the sun or moon shows in the sky, 0 for hidden.
        contrast: of the photograph.
        tint: of the photograph, multiplied in at the end.
    """

    sun: tuple[float, float, float]
    sun_colour: RGB
    ambient: RGB
    sky_top: RGB
    sky_low: RGB
    cloud: RGB
    clouds: float
    haze: RGB
    density: float
    wet: float
    lamps: bool
    snow: bool
    rain: float
    disc: float
    contrast: float
    tint: RGB

    def on(self, albedo: RGB, normal: tuple[float, float, float] | None = None, shadow: bool = False) -> RGB:
        """Return what a surface of that colour shows, with the sun on it (unless in shadow) or with half of it (no
        normal).
        """
        if shadow:
            facing = 0.0
        elif normal is None:
            facing = 0.5
        else:
            facing = max(0.0, sum(n * s for n, s in zip(normal, self.sun, strict=True)))
        return times(albedo, plus(self.ambient, scale(self.sun_colour, facing)))

    def through_air(self, colour: RGB, distance: float) -> RGB:
        """Return what is seen of a colour from `distance` metres away."""
        return mix(self.haze, colour, math.exp(-self.density * max(distance, 0.0)))


@dataclass(frozen=True)
class StreetLook:
    """The look and the layout of one street; lengths in metres.

    Args:
        light: sky, sun and air.
        road: the colour of the road.
        marking: the colour of its markings.
        pavement: the colour of the sidewalks.
        curb: the colour of their edges.
        lawn: the colour of grass.
        facades: the colours of the buildings on the left and on the right.
        shops: the colours of the ground floors on the left and on the right.
        awnings: the colours of the awnings on the left and on the right.
        roof: the colour of the roofs and cornices.
        trim: the colour of the window surrounds.
        glass: the colour of a dark window.
        lit: the colour of a lit window.
        lit_share: how many windows are lit when lamps are on.
        leaves: the colours of foliage in shadow, in half light and in light.
        trunk: the colour of trunks.
        poles: the colour of poles.
        lamp: the colour of lamp light.
        fleet: the colours of cars: ahead, oncoming, parked on the left, parked on the right.
        coats: what people wear on the left and on the right.
        trousers: and below.
        skin: the colour of faces.
        hills: the colour of what stands at the horizon.
        grain: how strong the texture of the ground is.
        road_half: half the width of the road.
        sidewalk: the width of a sidewalk.
        verge: the width of the strip of grass along the road, 0 for none.
        lot: the length of the lots that buildings stand on.
        storeys: the least and the greatest number of storeys.
        gaps: the share of empty lots.
        pitched: whether roofs are pitched.
        shop_floor: whether ground floors are shops.
        tree: the shape of the trees.
        tree_spacing: metres from tree to tree, 0 for none.
        tree_height: the mean height of the trees.
        pole_spacing: metres from pole to pole.
        camera: the height of the camera.
        horizon: where the horizon is, as a share of the image's height.
        traffic: how many cars there are, 0 to 1.
        crowd: how many people there are, 0 to 1.
    """

    light: Light
    road: RGB
    marking: RGB
    pavement: RGB
    curb: RGB
    lawn: RGB
    facades: tuple[RGB, RGB]
    shops: tuple[RGB, RGB]
    awnings: tuple[RGB, RGB]
    roof: RGB
    trim: RGB
    glass: RGB
    lit: RGB
    lit_share: float
    leaves: tuple[RGB, RGB, RGB]
    trunk: RGB
    poles: RGB
    lamp: RGB
    fleet: tuple[RGB, RGB, RGB, RGB]
    coats: tuple[RGB, RGB]
    trousers: tuple[RGB, RGB]
    skin: RGB
    hills: RGB
    grain: float
    road_half: float
    sidewalk: float
    verge: float
    lot: float
    storeys: tuple[int, int]
    gaps: float
    pitched: bool
    shop_floor: bool
    tree: Literal["round", "tall", "cone"]
    tree_spacing: float
    tree_height: float
    pole_spacing: float
    camera: float
    horizon: float
    traffic: float
    crowd: float

    @property
    def edge(self) -> float:
        """Return how far the fronts of the buildings are from the middle."""
        return self.road_half + self.verge + self.sidewalk


def street_look(rng: np.random.Generator, weather: Weather) -> StreetLook:
    """Draw the look of a street under that weather."""
    draw = Draw(rng)
    light = _light(draw, weather)
    hue = draw.real(0, 360)
    facades = (_facade(draw, hue), _facade(draw, hue + draw.choice((25, -30, 120, 180, -100))))
    suburb = draw.chance(0.35)
    leaves = _leaves(draw, light.snow)
    verge = draw.real(1.0, 1.8) if draw.chance(0.6 if suburb else 0.25) else 0.0
    return StreetLook(
        light=light,
        road=_snowed(oklch(draw.real(0.42, 0.66), draw.real(0.0, 0.035), draw.choice((40, 60, 260, 280))), light, 0.55),
        marking=draw.choice((oklch(0.96, 0.01, 90), oklch(0.93, 0.02, 250), oklch(0.86, 0.15, 88))),
        pavement=_snowed(
            oklch(draw.real(0.6, 0.82), draw.real(0.005, 0.05), draw.choice((45, 70, 90, 260))), light, 0.8
        ),
        curb=_snowed(oklch(draw.real(0.62, 0.85), 0.01, 80), light, 0.5),
        lawn=_snowed(oklch(draw.real(0.55, 0.7), draw.real(0.08, 0.14), draw.real(105, 145)), light, 0.85),
        facades=facades,
        shops=tuple(oklch(draw.real(0.35, 0.55), draw.real(0.02, 0.09), draw.real(0, 360)) for _ in facades),  # type: ignore[arg-type]
        awnings=tuple(oklch(draw.real(0.55, 0.72), draw.real(0.13, 0.19), draw.real(0, 360)) for _ in facades),  # type: ignore[arg-type]
        roof=_snowed(oklch(draw.real(0.38, 0.58), draw.real(0.03, 0.11), draw.choice((30, 40, 45, 260))), light, 0.85),
        trim=draw.choice((oklch(0.94, 0.01, 90), oklch(0.88, 0.04, 70), oklch(0.4, 0.03, 50))),
        glass=oklch(draw.real(0.32, 0.5), draw.real(0.02, 0.06), draw.real(210, 270)),
        lit=oklch(draw.real(0.84, 0.93), draw.real(0.08, 0.15), draw.real(65, 100)),
        lit_share=draw.real(0.55, 0.95),
        leaves=leaves,
        trunk=oklch(draw.real(0.32, 0.48), 0.04, 55),
        poles=oklch(draw.real(0.3, 0.55), draw.real(0.0, 0.05), draw.real(0, 360)),
        lamp=oklch(0.92, draw.real(0.05, 0.13), draw.choice((75, 85, 95))),
        fleet=_fleet(draw),
        coats=(
            oklch(draw.real(0.45, 0.75), 0.16, draw.real(0, 360)),
            oklch(draw.real(0.4, 0.75), 0.15, draw.real(0, 360)),
        ),
        trousers=(oklch(0.32, 0.05, draw.real(220, 290)), oklch(0.38, 0.03, draw.real(30, 90))),
        skin=oklch(draw.real(0.5, 0.82), 0.07, 55),
        hills=_snowed(mix(oklch(0.5, 0.06, draw.real(110, 260)), light.haze, 0.35), light, 0.4),
        grain=draw.real(0.015, 0.04),
        road_half=draw.real(4.6, 6.4),
        sidewalk=draw.real(1.8, 3.2),
        verge=verge,
        lot=draw.real(9, 14) if suburb else draw.real(12, 18),
        storeys=(1, 3) if suburb else draw.choice(((2, 4), (3, 6), (4, 8))),
        gaps=draw.real(0.15, 0.4) if suburb else draw.real(0.03, 0.18),
        pitched=suburb or draw.chance(0.25),
        shop_floor=not suburb and draw.chance(0.65),
        tree=draw.choice(("round", "round", "tall", "cone")),
        tree_spacing=draw.real(8, 15) if draw.chance(0.85) else 0.0,
        tree_height=draw.real(4.5, 7.5),
        pole_spacing=draw.real(14, 24),
        camera=draw.real(1.75, 2.5),
        horizon=draw.real(0.44, 0.54),
        traffic=draw.real(0.35, 0.9),
        crowd=draw.real(0.3, 1.0),
    )


def _light(draw: Draw, weather: Weather) -> Light:
    side = draw.choice((-1.0, 1.0))
    height = {"clear": draw.real(0.55, 0.9), "golden": draw.real(0.2, 0.35)}.get(weather, 0.7)
    # The sun stands to one side and mostly ahead, where the image can show it.
    across, ahead = side * draw.real(0.35, 0.7), draw.choice((-0.5, 0.5, 0.7))
    length = math.sqrt(across**2 + height**2 + ahead**2)
    sun = (across / length, height / length, ahead / length)
    warm = draw.real(-12, 12)
    if weather == "clear":
        sky_low = oklch(draw.real(0.86, 0.93), 0.04, 230 + warm)
        sky = (oklch(draw.real(0.58, 0.72), draw.real(0.1, 0.14), 245 + warm), sky_low, oklch(0.98, 0.01, 230))
        air = (scale(oklch(0.8, 0.035, 250), 0.98), scale(oklch(0.95, 0.05, 85), 0.72), 0.004, sky_low)
    elif weather == "golden":
        sky_low = oklch(draw.real(0.78, 0.86), draw.real(0.1, 0.15), 60 + warm * 1.8)
        sky = (oklch(draw.real(0.52, 0.66), 0.09, draw.choice((250, 290, 310))), sky_low, oklch(0.8, 0.12, 40 + warm))
        air = (scale(oklch(0.68, 0.05, 310 + warm), 1.1), scale(oklch(0.86, 0.12, 65), 1.0), 0.010, sky_low)
    elif weather == "overcast":
        sky_low = oklch(draw.real(0.8, 0.88), 0.012, 240)
        sky = (oklch(draw.real(0.62, 0.76), 0.02, 250), sky_low, oklch(0.7, 0.015, 250))
        air = (scale(oklch(0.9, 0.012, 240), 0.98), oklch(0.35, 0.0, 0), 0.008, sky_low)
    elif weather == "fog":
        sky_low = oklch(draw.real(0.76, 0.86), draw.real(0.01, 0.035), draw.choice((90, 230, 260)))
        sky = (mix(sky_low, (1, 1, 1), 0.15), sky_low, sky_low)
        air = (scale(oklch(0.86, 0.015, 240), 0.84), oklch(0.3, 0.0, 0), draw.real(0.035, 0.055), sky_low)
    elif weather == "rain":
        sky_low = oklch(draw.real(0.68, 0.78), draw.real(0.015, 0.04), 235 + warm * 2)
        sky = (oklch(draw.real(0.48, 0.58), 0.03, 250 + warm), sky_low, oklch(0.55, 0.025, 250))
        air = (scale(oklch(0.8, 0.025, 245), 1.2), oklch(0.25, 0.0, 0), 0.014, sky_low)
    elif weather == "night":
        sky_low = oklch(draw.real(0.28, 0.4), draw.real(0.05, 0.09), draw.choice((255, 275, 300, 330)))
        sky = (oklch(draw.real(0.13, 0.2), 0.05, 270 + warm), sky_low, oklch(0.3, 0.04, 280))
        air = (scale(oklch(0.58, 0.07, 270 + warm), 1.0), oklch(0.2, 0.03, 260), 0.006, sky_low)
    elif weather == "dusk":
        sky_low = oklch(draw.real(0.62, 0.72), draw.real(0.09, 0.14), draw.choice((10, 35, 340)))
        sky = (oklch(draw.real(0.32, 0.42), 0.1, 275 + warm), sky_low, oklch(0.55, 0.11, 350))
        air = (scale(oklch(0.66, 0.08, 290 + warm), 1.1), oklch(0.3, 0.05, 30), 0.009, mix(sky_low, sky[0], 0.3))
    else:
        sky_low = oklch(draw.real(0.84, 0.92), 0.015, 250)
        sky = (oklch(draw.real(0.7, 0.84), 0.035, 250), sky_low, oklch(0.82, 0.015, 250))
        air = (scale(oklch(0.86, 0.03, 255), 0.95), scale(oklch(0.8, 0.03, 80), 0.45), 0.014, sky_low)
    ambient, sun_colour, density, haze = air
    return Light(
        sun=sun,
        sun_colour=sun_colour,
        ambient=ambient,
        sky_top=sky[0],
        sky_low=sky[1],
        cloud=sky[2],
        clouds={"overcast": 0.8, "rain": 0.8, "fog": 0.1, "night": 0.25, "snow": 0.6}.get(
            weather, draw.real(0.15, 0.55)
        ),
        haze=haze,
        density=density,
        wet={"rain": draw.real(0.6, 0.8), "night": draw.choice((0.0, 0.6))}.get(weather, 0.0),
        lamps=weather in ("night", "dusk"),
        snow=weather == "snow",
        rain={"rain": 0.6, "snow": 1.0}.get(weather, 0.0),
        disc={"clear": 1.0, "golden": 1.0, "night": 0.7}.get(weather, 0.0),
        contrast=draw.real(1.0, 1.12),
        tint=oklch(1.0, draw.real(0.0, 0.02), draw.real(0, 360)),
    )


def _facade(draw: Draw, hue: float) -> RGB:
    """Return the colour of brick, stucco, stone or painted plaster."""
    kind = draw.choice(("brick", "pastel", "pastel", "stone", "vivid"))
    if kind == "brick":
        return oklch(draw.real(0.45, 0.6), draw.real(0.08, 0.12), draw.real(25, 50))
    if kind == "pastel":
        return oklch(draw.real(0.78, 0.88), draw.real(0.05, 0.09), hue)
    if kind == "stone":
        return oklch(draw.real(0.6, 0.82), draw.real(0.01, 0.04), draw.real(60, 100))
    return oklch(draw.real(0.58, 0.72), draw.real(0.09, 0.14), hue)


def _leaves(draw: Draw, snow: bool) -> tuple[RGB, RGB, RGB]:
    """Return dark, middle and light foliage: summer, spring, autumn, blossom; frosted in snow."""
    hue, chroma = draw.choice(
        ((130.0, 0.12), (140.0, 0.1), (118.0, 0.14), (150.0, 0.08), (80.0, 0.14), (50.0, 0.15), (5.0, 0.1))
    )
    hue += draw.real(-8, 8)
    base = draw.real(0.36, 0.46) + (0.14 if hue < 30 else 0.05 if hue < 90 else 0.0)
    tones = tuple(oklch(base + step, chroma, hue + turn) for step, turn in ((0.0, 6.0), (0.12, 0.0), (0.24, -8.0)))
    if snow:
        tones = tuple(mix(tone, (0.95, 0.97, 1.0), t) for tone, t in zip(tones, (0.15, 0.5, 0.9), strict=True))
    return tones[0], tones[1], tones[2]


def _fleet(draw: Draw) -> tuple[RGB, RGB, RGB, RGB]:
    """Paint of one family: cars of a street look alike, so that its pairs tell what the others are like."""
    hue = draw.real(0, 360)
    lightness, chroma = draw.choice(
        (
            (draw.real(0.5, 0.68), draw.real(0.14, 0.19)),
            (draw.real(0.5, 0.68), draw.real(0.14, 0.19)),
            (draw.real(0.7, 0.8), draw.real(0.12, 0.16)),
            (draw.real(0.34, 0.42), draw.real(0.05, 0.1)),
            (draw.real(0.86, 0.92), draw.real(0.005, 0.03)),
        )
    )
    first, *others = (
        oklch(lightness + step, chroma, hue + turn) for step, turn in ((0, 0), (0.05, 30), (0.1, 15), (-0.04, -25))
    )
    return first, others[0], others[1], others[2]


def _snowed(colour: RGB, light: Light, cover: float) -> RGB:
    return mix(colour, (0.93, 0.95, 1.0), cover) if light.snow else colour
