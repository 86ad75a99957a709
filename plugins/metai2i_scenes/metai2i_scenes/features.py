"""Eyes, eyebrows, nose, mouth and beard; see `metai2i_scenes.head` for the coordinates."""

from __future__ import annotations

import math

from metai2i_scenes.canvas import SCALE, Canvas, Point
from metai2i_scenes.colour import mix, scale
from metai2i_scenes.head import BROWS, EYES, FACE, LIPS, MOUTH, NOSE, Head, smooth
from metai2i_scenes.person import FaceLook


def eye(canvas: Canvas, head: Head, look: FaceLook, side: int) -> None:
    """Draw the left (-1) or right (1) eye in the image: socket, white, iris, glint and lashes."""
    doing = head.pose
    r, y = look.eye_size, look.eye_y
    socket = canvas.ink(FACE, scale(mix(look.skin, look.blush, 0.25), 0.9), 1)
    lash = canvas.ink(EYES, (0.13, 0.09, 0.08))
    white, iris, black, glint = (
        canvas.ink(EYES, colour) for colour in (look.white, look.iris, (0.05, 0.04, 0.04), (1.0, 1.0, 1.0))
    )
    rise, fall = 0.62 * r * doing.lids, 0.42 * r * min(doing.lids, 1.0)

    def lid(t: float, height: float, sink: float = 0.0) -> tuple[float, float]:
        """Return the point of a lid at t from -1 (inner corner) to 1 (outer corner)."""
        bow = max(0.0, 1 - abs(t) ** 2.2)
        return side * (look.eye_x + t * r), y + sink - look.eye_tilt * t - height * bow

    ts = (-1.0, -0.7, -0.35, 0.0, 0.35, 0.7, 1.0)
    upper, lower = [lid(t, rise) for t in ts], [lid(t, -fall) for t in ts]
    canvas.polygon(
        smooth(
            [head.on(*lid(t * 1.25, rise * 1.5, -0.02)) for t in ts]
            + [head.on(*lid(t * 1.15, -fall * 1.3)) for t in reversed(ts)],
            3,
        ),
        socket,
    )
    lids = [head.on(*p) for p in upper] + [head.on(*p) for p in reversed(lower[1:-1])]
    canvas.polygon(lids, white)

    def round_part(radius: float, ink: int) -> None:
        gx, gy = look.eye_x * side + doing.gaze[0] * 0.42 * r, y + doing.gaze[1] * 0.3 * r - 0.08 * r
        points = []
        for k in range(18):
            px, py = gx + radius * math.cos(k * math.pi / 9), gy + radius * math.sin(k * math.pi / 9)
            t = min(max((px * side - look.eye_x) / r, -1.0), 1.0)
            px = side * (look.eye_x + t * r)
            points.append(head.on(px, min(max(py, lid(t, rise)[1]), lid(t, -fall)[1])))
        canvas.polygon(points, ink)

    round_part(0.5 * r, canvas.ink(EYES, scale(look.iris, 0.55)))
    round_part(0.42 * r, iris)
    round_part(0.22 * r, black)
    if doing.lids > 0.4:
        u, v = head.on(
            look.eye_x * side + doing.gaze[0] * 0.42 * r + math.copysign(0.16, look.key[0]) * r, y - 0.28 * r
        )
        canvas.ellipse(u, v, 0.11 * r * head.size, 0.11 * r * head.size, glint)
    thick = 0.16 * r if look.lip_weight > 0.075 else 0.1 * r
    ridge = [head.on(px, py) for px, py in upper] + [
        head.on(px + side * 0.02 * (i > 4), py - thick) for i, (px, py) in reversed(list(enumerate(upper)))
    ]
    canvas.polygon(ridge, lash)
    canvas.line(
        [head.on(px, py) for px, py in lower],
        canvas.ink(EYES, scale(mix(look.skin, look.blush, 0.6), 0.62), 0.6),
        0.05 * r * head.size,
    )


def brow(canvas: Canvas, head: Head, look: FaceLook, side: int) -> None:
    """Draw the left (-1) or right (1) eyebrow in the image."""
    doing = head.pose
    y = look.eye_y - 0.23 - 0.055 * doing.lift
    ink = canvas.ink(BROWS, look.brow, 0.3, 0.3)
    h = max(look.brow_weight, 0.6 * SCALE / head.size)
    spine = [(0.13, 0.02 - 0.02 * doing.lift), (0.28, -0.035), (0.42, -0.045), (0.54, 0.02)]
    weights = (0.9, 1.0, 0.8, 0.35)
    over = [head.on(side * x, y + dy - h * k) for (x, dy), k in zip(spine, weights, strict=True)]
    under = [head.on(side * x, y + dy + h * k) for (x, dy), k in zip(spine, weights, strict=True)]
    canvas.polygon(smooth([*over, *reversed(under)], 4), ink)


def nose(canvas: Canvas, head: Head, look: FaceLook) -> None:
    """Draw the nose: ridge, tip, nostrils and the side away from the light."""
    w, top = look.nose_width, look.eye_y + 0.02
    tip = look.eye_y + look.nose_length
    skin = canvas.ink(NOSE, mix(look.skin, look.blush, 0.12), 1)
    light = canvas.ink(NOSE, mix(look.skin, (1.0, 0.97, 0.92), 0.16), 1)
    dark = canvas.ink(NOSE, scale(mix(look.skin, look.blush, 0.35), 0.88), 1)
    hole = canvas.ink(NOSE, scale(look.blush, 0.58), 0.6)

    def at(x: float, y: float, out: float) -> Point:
        return head.see(x, y, head.depth(0, y) + out)

    body = [
        at(-0.055, top, 0.02),
        at(0.055, top, 0.02),
        at(0.075, (top + tip) / 2, 0.12),
        at(w * 0.92, tip - 0.09, 0.08),
        at(w, tip - 0.01, 0.06),
        at(w * 0.5, tip + 0.05, 0.12),
        at(0, tip + 0.075, 0.15),
        at(-w * 0.5, tip + 0.05, 0.12),
        at(-w, tip - 0.01, 0.06),
        at(-w * 0.92, tip - 0.09, 0.08),
        at(-0.075, (top + tip) / 2, 0.12),
    ]
    canvas.polygon(smooth(body, 4), skin)
    away = -1 if look.key[0] > 0 else 1
    canvas.polygon(
        smooth(
            [
                at(away * 0.05, top, 0.03),
                at(away * 0.07, (top + tip) / 2, 0.12),
                at(away * w * 0.9, tip - 0.08, 0.08),
                at(away * w, tip, 0.06),
                at(away * w * 0.5, tip + 0.02, 0.12),
                at(away * 0.03, (top + tip) / 2, 0.16),
            ],
            4,
        ),
        dark,
    )
    canvas.polygon(
        smooth(
            [
                at(-0.03, top + 0.05, 0.06),
                at(0.03, top + 0.05, 0.06),
                at(0.06, tip - 0.1, 0.22),
                at(0.05, tip - 0.02, 0.22),
                at(-0.05, tip - 0.02, 0.22),
                at(-0.06, tip - 0.1, 0.22),
            ],
            4,
        ),
        light,
    )
    canvas.polygon(
        smooth(
            [
                at(-w * 0.9, tip + 0.01, 0.06),
                at(0, tip + 0.02, 0.16),
                at(w * 0.9, tip + 0.01, 0.06),
                at(w * 0.45, tip + 0.055, 0.12),
                at(0, tip + 0.075, 0.14),
                at(-w * 0.45, tip + 0.055, 0.12),
            ],
            4,
        ),
        dark,
    )
    for side in (-1, 1):
        u, v = at(side * w * 0.45, tip + 0.025, 0.12)
        canvas.ellipse(u, v, 0.25 * w * head.size, 0.15 * w * head.size, hole)


def mouth(canvas: Canvas, head: Head, look: FaceLook) -> None:
    """Draw lips and what is between them."""
    doing = head.pose
    y, thick = look.mouth_y, look.lip_weight
    w = look.mouth_width * (1 + 0.16 * max(doing.smile, 0) - 0.18 * doing.open)
    gap, lift = 0.24 * doing.open, 0.07 * doing.smile
    upper, lower = canvas.ink(LIPS, scale(look.lips, 0.88), 0.7), canvas.ink(LIPS, look.lips, 0.85)
    shine = canvas.ink(LIPS, mix(look.lips, (1.0, 0.95, 0.92), 0.3), 0.85)
    shadow = canvas.ink(FACE, scale(mix(look.skin, look.blush, 0.4), 0.82), 1)
    y -= 0.3 * gap

    def at(t: float, dy: float) -> Point:
        """Return the point at t from -1 to 1 along the mouth; the corners go up with a smile."""
        return head.on(t * w, y + dy - lift * (abs(t) ** 1.7 - 0.35), 0.03)

    ts = (-0.75, -0.45, -0.16, 0.0, 0.16, 0.45, 0.75)
    bow = (0.55, 0.95, 1.1, 0.85, 1.1, 0.95, 0.55)
    arch = (0.5, 0.85, 1.0, 1.0, 1.0, 0.85, 0.5)
    middle = gap * 0.45
    canvas.polygon(
        smooth(
            [
                at(-0.5, gap + thick * 1.35),
                at(0.0, gap + thick * 1.5),
                at(0.5, gap + thick * 1.35),
                at(0.0, gap + thick * 2.3),
            ],
            5,
        ),
        shadow,
    )
    top = [at(t, -thick * k - 0.12 * gap) for t, k in zip(ts, bow, strict=True)]
    bottom = [at(t, gap + thick * 1.25 * k + 0.02 - 0.5 * gap * (1 - k)) for t, k in zip(ts, arch, strict=True)]
    canvas.polygon(smooth([at(-1.03, 0.3 * middle), *top, at(1.03, 0.3 * middle), *reversed(bottom)], 4), lower)
    seam_top = [at(t, 0.012 - 0.12 * gap * k) for t, k in zip(ts, arch, strict=True)]
    canvas.polygon(smooth([at(-1.03, 0.3 * middle), *top, at(1.03, 0.3 * middle), *reversed(seam_top)], 4), upper)
    canvas.polygon(
        smooth(
            [
                at(-0.4, gap + thick * 0.5),
                at(0, gap + thick * 0.55),
                at(0.4, gap + thick * 0.5),
                at(0, gap + thick * 0.85),
            ],
            4,
        ),
        shine,
    )
    if doing.open < 0.06:
        line = canvas.ink(MOUTH, scale(look.lips, 0.4), 0.5)
        canvas.line(
            smooth([at(-0.95, 0.01), at(-0.4, 0.02), at(0, 0.012), at(0.4, 0.02), at(0.95, 0.01)], 4, closed=False),
            line,
            max(0.02 * head.size, 1),
        )
        return
    inside = canvas.ink(MOUTH, look.mouth)
    hole = [at(t * 1.05, gap * (0.2 + 0.8 * k)) for t, k in zip(ts, arch, strict=True)]
    rim = [at(-0.9, 0.3 * middle), *seam_top, at(0.9, 0.3 * middle)]
    canvas.polygon(smooth([*rim, *reversed(hole)], 4), inside)
    if gap > 0.09:
        tongue = canvas.ink(MOUTH, look.tongue)
        canvas.polygon(
            smooth([at(-0.42, gap * 0.82), at(0, gap * 0.6), at(0.42, gap * 0.82), at(0, gap * 0.97)], 4), tongue
        )
    teeth = canvas.ink(MOUTH, look.teeth)
    down = min(0.075, 0.65 * gap)
    edge = [at(t, 0.01 - 0.1 * gap + down * k) for t, k in zip(ts[1:-1], (0.75, 1, 1, 1, 0.75), strict=True)]
    canvas.polygon(
        [*(at(t, 0.01 - 0.11 * gap * k) for t, k in zip(ts[1:-1], arch[1:-1], strict=True)), *reversed(edge)], teeth
    )


def beard(canvas: Canvas, head: Head, look: FaceLook) -> None:
    """Draw a beard, as part of the face."""
    colour = mix(look.skin, look.brow, 0.35 + 0.6 * look.beard)
    ink = canvas.ink(FACE, colour, 0.75, 0.25)
    w, drop = look.width, look.chin + 0.03 + 0.1 * max(0.0, look.beard - 0.6)
    outer = [
        (0.965 * w, 0.12, 0.03),
        (0.9 * w, 0.42, 0.08),
        ((0.74 + 0.12 * look.jaw) * w, 0.67, 0.16),
        ((0.4 + 0.12 * look.jaw) * w, 0.91 * drop, 0.28),
    ]
    right = [head.flat(x, y, z) for x, y, z in outer]
    left = [head.flat(-x, y, z) for x, y, z in outer]
    m = look.mouth_y
    cheek = [(0.9 * w, 0.08, 0.08), (0.8 * w, 0.3, 0.2), (0.62 * w, m - 0.14, 0.4)]
    inner = [
        *(head.flat(-x, y, z) for x, y, z in cheek),
        *(head.on(x, y) for x, y in ((-0.3, m - 0.15), (0, m - 0.13), (0.3, m - 0.15))),
        *(head.flat(x, y, z) for x, y, z in reversed(cheek)),
    ]
    canvas.polygon(
        [
            *smooth([*right, head.flat(0, drop, 0.32), *reversed(left)], 4, closed=False),
            *smooth(inner, 4, closed=False),
        ],
        ink,
    )
