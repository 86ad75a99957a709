"""What a person looks like, the light on them and the room behind: what stays while a face turns and talks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from metai2i_scenes.colour import RGB, mix, oklch, scale
from metai2i_scenes.look import Draw

HairStyle = Literal["bald", "short", "swept", "bob", "long", "bun", "curly", "beanie"]
HAIR_STYLES: tuple[HairStyle, ...] = get_args(HairStyle)
Backdrop = Literal["wall", "bokeh", "window", "stripes", "shelf", "sunset"]


@dataclass(frozen=True)
class FaceLook:
    """The looks of one person, the light on them and the room behind; lengths in heads' half heights.

    Args:
        skin: the colour of the skin.
        blush: the colour of cheeks and ears.
        lips: the colour of the lips.
        mouth: the colour inside the mouth.
        tongue: the colour of the tongue.
        teeth: the colour of the teeth.
        iris: the colour of the eyes.
        white: the colour of the whites of the eyes.
        brow: the colour of the eyebrows.
        hair: the colour of the hair (or of the beanie).
        hair_style: the cut.
        fringe: how far the hair comes down on the forehead, 0 to 1.
        part: where it parts, -1 (left) to 1.
        volume: how far it stands off the head.
        beard: how full the beard is, 0 for none.
        glasses: the colour of the frames, or None.
        earrings: the colour of the earrings, or None.
        freckles: whether there are any.
        cloth: the colour of the clothes.
        collar: the colour of the collar.
        neckline: its shape.
        backdrop: what is behind.
        wall: the colours of what is behind, far and near.
        key: unit vector towards the main light: right, down, to the viewer.
        key_colour: its colour.
        fill: the light from everywhere.
        rim: the light from behind, on the edges.
        contrast: of the photograph.
        width: of the head.
        jaw: how wide the jaw is, 0 to 1.
        chin: how far the chin comes down.
        eye_x: how far the eyes are apart.
        eye_y: how low they sit.
        eye_size: half their width.
        eye_tilt: how far their outer corners are up.
        brow_weight: half the height of the brows.
        nose_width: half its width.
        nose_length: from the eyes down.
        mouth_width: half its width.
        mouth_y: how low the mouth sits.
        lip_weight: how full the lips are.
    """

    skin: RGB
    blush: RGB
    lips: RGB
    mouth: RGB
    tongue: RGB
    teeth: RGB
    iris: RGB
    white: RGB
    brow: RGB
    hair: RGB
    hair_style: HairStyle
    fringe: float
    part: float
    volume: float
    beard: float
    glasses: RGB | None
    earrings: RGB | None
    freckles: bool
    cloth: RGB
    collar: RGB
    neckline: Literal["round", "v", "shirt", "hood"]
    backdrop: Backdrop
    wall: tuple[RGB, RGB]
    key: tuple[float, float, float]
    key_colour: RGB
    fill: RGB
    rim: RGB
    contrast: float
    width: float
    jaw: float
    chin: float
    eye_x: float
    eye_y: float
    eye_size: float
    eye_tilt: float
    brow_weight: float
    nose_width: float
    nose_length: float
    mouth_width: float
    mouth_y: float
    lip_weight: float


def face_look(rng: np.random.Generator, hair_style: HairStyle) -> FaceLook:
    """Draw the looks of a person with that hair."""
    draw = Draw(rng)
    tone = draw.real(0.0, 1.0) ** 1.3
    skin = oklch(0.86 - 0.38 * tone, 0.05 + 0.035 * math.sin(math.pi * min(tone + 0.15, 1)), draw.real(48, 66))
    masculine = draw.chance(0.5)
    hair = _hair(draw, hair_style)
    natural = hair if hair_style != "beanie" else oklch(draw.real(0.2, 0.5), 0.05, 55)
    lips_red = draw.real(0.25, 0.45) if masculine else draw.real(0.5, 1.0)
    hue = draw.real(0, 360)
    key, side = draw.real(0, 1), draw.choice((-1.0, 1.0))
    x, y, z = side * draw.real(0.35, 0.8), -draw.real(0.15, 0.6), draw.real(0.5, 0.8)
    length = math.sqrt(x * x + y * y + z * z)
    if key < 0.5:  # daylight
        key_colour, fill = scale(oklch(0.94, 0.03, 80), 0.62), scale(oklch(0.88, 0.02, 250), 0.76)
        rim: RGB = (0.15, 0.17, 0.2)
    elif key < 0.75:  # evening
        key_colour, fill = scale(oklch(0.86, 0.1, 65), 0.75), scale(oklch(0.74, 0.06, 310), 0.92)
        rim = (0.3, 0.18, 0.1)
    else:  # coloured lamps
        key_colour = scale(oklch(0.86, 0.06, draw.real(-60, 110)), 0.72)
        fill = scale(oklch(0.74, 0.07, draw.real(230, 360)), 0.92)
        rim = scale(oklch(0.7, 0.15, draw.real(180, 340)), 0.45)
    return FaceLook(
        skin=skin,
        blush=mix(skin, oklch(0.58, 0.17, 25), 0.4),
        lips=mix(skin, oklch(draw.real(0.45, 0.6), 0.18, draw.real(5, 30)), lips_red),
        mouth=oklch(0.22, 0.08, 20),
        tongue=oklch(0.6, 0.14, 18),
        teeth=oklch(0.95, 0.015, 95),
        iris=draw.choice(
            (
                oklch(0.35, 0.07, 55),
                oklch(0.5, 0.1, 60),
                oklch(0.58, 0.11, 240),
                oklch(0.58, 0.1, 150),
                oklch(0.55, 0.02, 240),
            )
        ),
        white=oklch(0.96, 0.008, 90),
        brow=mix(natural, oklch(0.25, 0.04, 50), 0.45),
        hair=hair,
        hair_style=hair_style,
        fringe=draw.real(0, 1),
        part=draw.real(-0.7, 0.7),
        volume=draw.real(0.07, 0.16),
        beard=draw.real(0.3, 1.0) if masculine and draw.chance(0.5) else 0.0,
        glasses=oklch(draw.real(0.2, 0.5), draw.real(0.0, 0.15), draw.real(0, 360)) if draw.chance(0.25) else None,
        earrings=oklch(0.85, 0.12, 90) if not masculine and draw.chance(0.5) else None,
        freckles=tone < 0.35 and draw.chance(0.4),
        cloth=oklch(draw.real(0.35, 0.85), draw.real(0.03, 0.17), hue),
        collar=draw.choice((oklch(0.95, 0.01, 90), oklch(draw.real(0.3, 0.8), 0.1, hue + 150))),
        neckline=draw.choice(("round", "v", "shirt", "hood")),
        backdrop=draw.choice(("wall", "bokeh", "window", "stripes", "shelf", "sunset")),
        wall=_wall(draw),
        key=(x / length, y / length, z / length),
        key_colour=key_colour,
        fill=fill,
        rim=rim,
        contrast=draw.real(1.0, 1.12),
        width=draw.real(0.7, 0.8),
        jaw=draw.real(0.5, 1.0) if masculine else draw.real(0.0, 0.6),
        chin=draw.real(0.94, 1.06),
        eye_x=draw.real(0.31, 0.36),
        eye_y=draw.real(-0.1, -0.02),
        eye_size=draw.real(0.155, 0.195),
        eye_tilt=draw.real(-0.02, 0.04),
        brow_weight=draw.real(0.035, 0.06) if masculine else draw.real(0.022, 0.038),
        nose_width=draw.real(0.12, 0.19),
        nose_length=draw.real(0.36, 0.44),
        mouth_width=draw.real(0.24, 0.31),
        mouth_y=draw.real(0.53, 0.58),
        lip_weight=draw.real(0.05, 0.075) if masculine else draw.real(0.07, 0.1),
    )


def _hair(draw: Draw, style: HairStyle) -> RGB:
    if style == "beanie":
        return oklch(draw.real(0.4, 0.75), draw.real(0.08, 0.17), draw.real(0, 360))
    hue = draw.real(0, 360)
    kinds = {  # lightness, chroma and hue, each from and to, and how common it is
        "black": ((0.2, 0.28), (0.015, 0.025), (50, 70), 0.25),
        "brown": ((0.32, 0.46), (0.04, 0.07), (45, 65), 0.3),
        "blond": ((0.68, 0.82), (0.08, 0.12), (75, 90), 0.17),
        "red": ((0.48, 0.58), (0.12, 0.15), (38, 50), 0.12),
        "grey": ((0.7, 0.85), (0.005, 0.01), (240, 260), 0.08),
        "dyed": ((0.5, 0.7), (0.12, 0.18), (hue, hue), 0.08),
    }
    names = list(kinds)
    *ranges, _ = kinds[names[int(draw.rng.choice(len(names), p=[kind[3] for kind in kinds.values()]))]]
    lightness, chroma, tone = (draw.real(low, high) for low, high in ranges)
    return oklch(lightness, chroma, tone)


def _wall(draw: Draw) -> tuple[RGB, RGB]:
    hue = draw.real(0, 360)
    far = oklch(draw.real(0.35, 0.88), draw.real(0.02, 0.11), hue)
    near = oklch(draw.real(0.35, 0.85), draw.real(0.03, 0.12), hue + draw.choice((30.0, -40.0, 180.0)))
    return far, near
