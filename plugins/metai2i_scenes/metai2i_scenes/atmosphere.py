"""From painted colours to the photograph of a street: sky, haze, textures, wet road, glow, rain and the camera."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from metai2i_scenes.canvas import Drawn
from metai2i_scenes.noise import Field, look_up, value_noise

if TYPE_CHECKING:
    from metai2i_scenes.look import Light, StreetLook

# The attributes of street inks.
_SKY, _GROUND, _GLOW, _LEAF = range(4)
_TILE = 128
_WARM = np.asarray((1.1, 1.0, 0.8), np.float32)


@lru_cache(maxsize=256)
def _tile(seed: int, cells: int) -> Field:
    return value_noise(np.random.default_rng((seed, cells)), _TILE, cells, octaves=4)


def photograph(
    drawn: Drawn,
    look: StreetLook,
    *,
    u: float,
    v: float,
    focal: float,
    x: float,
    texture: int,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the photograph of what was painted.

    Args:
        drawn: the painting, with the attributes sky, ground, glow and leaf.
        look: what the street looks like.
        u: where the street vanishes, in pixels from the left.
        v: the horizon, in pixels from the top.
        focal: the focal length in pixels.
        x: metres of the camera right of the middle of the street.
        texture: the seed of the textures of this scene.
        rng: draws rain and sensor noise.
    """
    light = look.light
    height, width = drawn.labels.shape
    image = drawn.colour
    cover = drawn.attributes
    rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
    columns = np.arange(width, dtype=np.float32)[None, :] + 0.5
    angle_x, angle_y = (columns - u) / focal, (v - rows) / focal

    ground = cover[..., _GROUND]
    depth = np.clip(focal * look.camera / np.maximum(rows - v, 0.25), 0, 400)
    across = (columns - u) / focal * depth + x
    image = image + (ground * _ground_texture(look, across, depth, texture))[..., None] * image
    if light.lamps:
        image = image * (1 + (_headlights(across - x, depth) * ground))[..., None] ** _WARM
    haze = (1 - np.exp(-light.density * depth)) * ground
    image = image + haze[..., None] * (np.asarray(light.haze, np.float32) - image)

    leaf = look_up(_tile(texture, 16), rows * 1.7 + np.zeros_like(columns), columns * 1.7 + np.zeros_like(rows))
    image = image * (1 + (0.07 * leaf * cover[..., _LEAF]))[..., None]
    image = image + cover[..., _SKY, None] * _sky(light, angle_x, angle_y, texture)

    if light.wet:
        image = _mirror(image, ground, light.wet, v, rows)
    if light.lamps or light.wet:
        image = _bloom(image, cover[..., _GLOW], height, 1.0 if light.lamps else 0.5)
    if light.rain:
        image = _fall(image, light, rng)
    return develop(image, light.contrast, light.tint, rng)


def _ground_texture(look: StreetLook, across: Field, depth: Field, seed: int) -> Field:
    """Return relative brightness: wheel tracks, paving joints and grain (of the road as it passes the camera)."""
    lane = look.road_half * 0.36
    tracks = sum(np.exp(-(((across - side * lane - wheel) / 0.35) ** 2)) for side in (-1, 1) for wheel in (-0.75, 0.75))
    on_road = np.abs(across) < look.road_half
    joints = (np.abs((across + 400) % 1.0 - 0.5) < 0.06) * np.clip(1.5 - depth / 10, 0, 1)
    grain = look_up(_tile(seed, 8), depth * 4 + np.zeros_like(across), across * 6)
    fade = np.clip(1.3 - depth / 22, 0, 1)
    return np.asarray(np.where(on_road, -0.09 * tracks, -0.12 * joints) + look.grain * grain * fade, np.float32)


def _headlights(across: Field, depth: Field) -> Field:
    """Return how much brighter the camera's own car makes the road."""
    spread = 0.8 + 0.16 * depth
    return np.asarray(
        1.6 * np.exp(-((across / spread) ** 2)) * np.exp(-depth / 14) * np.clip(depth / 4 - 0.6, 0, 1), np.float32
    )


def _sky(light: Light, angle_x: Field, angle_y: Field, seed: int) -> Field:
    """Return gradient, sun or moon, and clouds that stand still over the street."""
    low, top, cloud = (np.asarray(c, np.float32) for c in (light.sky_low, light.sky_top, light.cloud))
    t = np.clip(angle_y / 0.6, 0, 1)[..., None] ** 0.8
    sky = low + (top - low) * t + np.zeros_like(angle_x)[..., None]
    if light.clouds:
        up = np.maximum(angle_y, 0.02)
        # Clouds lie on a plane overhead: they crowd towards the horizon.
        field = look_up(_tile(seed, 4), 30 / (up + 0.25) + np.zeros_like(angle_x), angle_x * 24 / (up + 0.35) + 500)
        threshold = 1.2 - 2.2 * light.clouds
        amount = np.clip((field - threshold) * 0.7, 0, 1) * np.clip(angle_y * 9, 0, 1) * 0.85
        sky = sky + amount[..., None] * (cloud - sky)
    if light.disc and light.sun[2] > 0:
        side = light.sun[0] * 0.75
        rise = 0.36 if light.disc < 1 else 0.2 + 0.3 * light.sun[1]
        r2 = (angle_x - side) ** 2 + (angle_y - rise) ** 2
        colour = np.asarray(light.sun_colour, np.float32)
        colour = colour / colour.max() if light.disc >= 1 else np.asarray((0.95, 0.96, 1.0), np.float32)
        halo = 0.5 * np.exp(-r2 / 0.03) + 0.25 * np.exp(-r2 / 0.25) if light.disc >= 1 else 0.3 * np.exp(-r2 / 0.012)
        disc = np.clip((0.07 - np.sqrt(r2)) * 40, 0, 1) * light.disc
        sky = sky + np.clip(halo * light.disc + disc, 0, 1)[..., None] * (colour - sky)
    return np.asarray(sky, np.float32)


def _mirror(image: Field, ground: Field, wet: float, v: float, rows: Field) -> Field:
    """Show in wet ground what stands above it, upside down and smeared."""
    height = len(image)
    source = 2 * v - rows[:, 0]
    total = np.zeros_like(image)
    reach = max(1.0, height / 40)
    for step in (-2.0, -1.0, 0.0, 1.0, 2.0):
        total += image[np.clip((source + step * reach).astype(int), 0, height - 1)]
    # Shallow angles mirror more.
    strength = wet * np.clip(0.75 - 0.5 * (rows - v) / (height - v), 0, 1) * ground
    return np.asarray(
        image * (1 - 0.12 * wet * ground[..., None]) * (1 - strength[..., None]) + strength[..., None] * total / 5,
        np.float32,
    )


def _bloom(image: Field, glow: Field, height: int, strength: float) -> Field:
    """Spill light around what shines."""
    source = np.clip(image * glow[..., None] * 255, 0, 255).astype(np.uint8)
    shining = Image.fromarray(source)
    near = np.asarray(shining.filter(ImageFilter.BoxBlur(height / 40)), np.float32)
    far = np.asarray(
        shining.filter(ImageFilter.BoxBlur(height / 12)).filter(ImageFilter.BoxBlur(height / 12)), np.float32
    )
    return np.asarray(image + (0.5 * near + 1.1 * far) * (strength / 255), np.float32)


def _fall(image: Field, light: Light, rng: np.random.Generator) -> Field:
    """Draw rain as faint streaks, snow as flakes."""
    height, width = image.shape[:2]
    count = height * width // (110 if light.snow else 90)
    y, x = rng.integers(0, height, count), rng.integers(0, width, count)
    veil = np.zeros((height, width), np.float32)
    veil[y, x] = rng.uniform(0.15, 0.5, count) if light.snow else rng.uniform(0.03, 0.09, count)
    if not light.snow:
        for step in range(1, max(2, height // 24)):
            np.maximum(veil[step:], np.roll(veil, -(step // 3), axis=1)[:-step] * 0.9, out=veil[step:])
    fallen: Field = image + (veil * light.rain)[..., None] * (1 - image)
    return fallen


def develop(
    image: Field, contrast: float, tint: tuple[float, float, float], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Add contrast, tint, a little darkness in the corners and a little sensor noise; return (H, W, 3) uint8."""
    height, width = image.shape[:2]
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    corners = 1 - 0.1 * (x * x + y * y) ** 1.5 / 2
    image = ((image - 0.5) * contrast + 0.5) * np.asarray(tint, np.float32) * corners[..., None]
    noise = rng.standard_normal((height, width), np.float32) * 0.006
    return (np.clip(image + noise[..., None], 0, 1) * 255 + 0.5).astype(np.uint8)
