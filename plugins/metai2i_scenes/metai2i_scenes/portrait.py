"""From painted colours to the photograph of a face: the light on head and hair, the clothes and what is behind."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metai2i_scenes.atmosphere import develop
from metai2i_scenes.backdrop import backdrop
from metai2i_scenes.canvas import Drawn
from metai2i_scenes.noise import Field, look_up, value_noise
from metai2i_scenes.person import FaceLook

# The attributes of the inks of a face.
_SKIN, _HAIR, _BEHIND, _CLOTH = range(4)


@lru_cache(maxsize=256)
def _tile(seed: int, cells: int) -> Field:
    return value_noise(np.random.default_rng((seed, cells)), 64, cells, octaves=3)


def photograph(
    drawn: Drawn,
    look: FaceLook,
    *,
    x: float,
    y: float,
    size: float,
    yaw: float,
    pitch: float,
    roll: float,
    texture: int,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the photograph of what was painted.

    Args:
        drawn: the painting, with the attributes skin, hair, backdrop and cloth.
        look: what the person looks like.
        x: the middle of the head, in pixels from the left.
        y: the same, from the top.
        size: half the height of the head, in pixels.
        yaw: the head turned to the right, radians.
        pitch: turned down, radians.
        roll: tilted clockwise, radians.
        texture: the seed of the textures of this scene.
        rng: draws the sensor noise.
    """
    height, width = drawn.labels.shape
    cover = drawn.attributes
    dx = (np.arange(width, dtype=np.float32)[None, :] + 0.5 - x) / size
    dy = (np.arange(height, dtype=np.float32)[:, None] + 0.5 - y) / size
    cos, sin = math.cos(roll), math.sin(roll)
    hx, hy = dx * cos + dy * sin, dy * cos - dx * sin

    # The head is lit as an ellipsoid; everything else hangs on it closely enough.
    nx, ny = hx / (look.width + 0.12), hy / 1.12
    r2 = nx * nx + ny * ny
    nz = np.sqrt(np.clip(1 - r2, 0.02, 1))
    facing = np.clip(nx * look.key[0] + ny * look.key[1] + nz * look.key[2], 0, 1)
    key, fill, rim = (np.asarray(c, np.float32) for c in (look.key_colour, look.fill, look.rim))
    wrap = (0.25 + 0.75 * facing)[..., None]
    lit = fill + key * wrap

    skin, hair = cover[..., _SKIN, None], cover[..., _HAIR, None]
    image = drawn.colour
    turned, nodded = hx - 0.72 * math.sin(yaw), hy - 0.72 * math.sin(pitch)
    cheeks = np.exp(-(((np.abs(turned) - 0.4) / 0.2) ** 2) - ((nodded - 0.28) / 0.17) ** 2)
    blush = np.asarray(look.blush, np.float32)
    image = image + (0.3 * cheeks)[..., None] * skin * (blush - 0.45) * 0.5
    shine = np.exp(-(((turned - look.key[0] * 0.35) / 0.3) ** 2) - ((nodded + 0.45) / 0.2) ** 2)

    strands = look_up(_tile(texture, 16), hy * 6 + 500, (turned + 0.35 * np.sign(hx - look.part) * hy) * 44 + 500)
    band = np.exp(-(((np.sqrt((hx / 0.85) ** 2 + (hy + 0.1) ** 2) - 0.86 - 0.05 * strands) / 0.13) ** 2)) * np.clip(
        facing + 0.2, 0, 1
    )
    hair_light = 1 + 0.12 * strands + 0.45 * band * (hy < 0.2)

    edge = np.clip(r2 - 0.7, 0, 0.6)[..., None]
    subject = image * (lit + rim * edge * (skin + hair)) * (1 + hair * (hair_light[..., None] - 1))
    subject = subject + (0.1 * shine)[..., None] * skin * key

    weave = look_up(_tile(texture, 32), dy * 40 + 500 + 0 * dx, dx * 20 + 500 + 0 * dy)
    falloff = 1 + 0.22 * np.clip(dx * look.key[0], -1, 1) - 0.1 * np.clip(dy - 1.2, 0, 1)
    subject = subject * (1 + cover[..., _CLOTH, None] * (falloff * (1 + 0.025 * weave) - 1)[..., None])

    room = backdrop(look.backdrop, look.wall, height, width, seed=texture)
    image = subject + cover[..., _BEHIND, None] * room * (0.55 + 0.45 * (fill + key))
    return develop(image, look.contrast, (1.0, 1.0, 1.0), rng)
