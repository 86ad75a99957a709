"""Faces: a person, painted from back to front; see `metai2i_scenes.head` for the coordinates."""

from __future__ import annotations

import math

import numpy as np

from metai2i_scenes.canvas import SCALE, Canvas, Frame, Point
from metai2i_scenes.colour import mix, scale
from metai2i_scenes.features import beard, brow, eye, mouth, nose
from metai2i_scenes.hair import hair_behind, hair_in_front
from metai2i_scenes.head import BACKGROUND, CLASSES, FACE, PALETTE, Head, pose, smooth
from metai2i_scenes.person import FaceLook
from metai2i_scenes.portrait import photograph


class Face:
    """One person.

    Args:
        look: what they look like.
        rng: draws the textures.
    """

    classes = CLASSES
    palette = PALETTE

    def __init__(self, look: FaceLook, rng: np.random.Generator) -> None:
        self.look = look
        self._texture = int(rng.integers(1 << 31))
        self._curls = rng.random((40, 3)).tolist()

    def render(self, frame: int, height: int, width: int, rng: np.random.Generator) -> Frame:
        """Return what a frame shows; `rng` draws what the face does in it."""
        del frame  # Frames of a face are not in an order.
        doing = pose(rng)
        short = min(height, width) * SCALE
        head = Head(
            x=width * SCALE / 2 + doing.x * short,
            y=height * SCALE / 2 + (doing.y - 0.06) * short,
            size=0.3 * short,
            pose=doing,
        )
        canvas = Canvas(height, width, ground=BACKGROUND, attributes=(0, 0, 1))
        hair_behind(canvas, head, self.look, self._curls)
        self._body(canvas, head)
        self._face(canvas, head)
        for side in (-1, 1):
            eye(canvas, head, self.look, side)
        mouth(canvas, head, self.look)
        nose(canvas, head, self.look)
        for side in (-1, 1):
            brow(canvas, head, self.look, side)
        hair_in_front(canvas, head, self.look, self._curls)
        canvas.freeze_labels()
        self._ornaments(canvas, head)
        drawn = canvas.finish()
        photo = photograph(
            drawn,
            self.look,
            x=head.x / SCALE,
            y=head.y / SCALE,
            size=head.size / SCALE,
            yaw=doing.yaw,
            pitch=doing.pitch,
            roll=doing.roll,
            texture=self._texture,
            rng=rng,
        )
        return Frame(drawn.labels, drawn.instances, photo)

    # Attributes of the inks: skin, hair, backdrop, cloth.

    def _outline(self, head: Head, grow: float = 0.0, steps: int = 5) -> list[Point]:
        """Return the outline of the face, from temple to chin to temple and over the crown."""
        look = self.look
        w, jaw = look.width + grow, look.jaw
        right = [
            (0.0, -1.0 - grow, 0.0),
            (0.55 * w, -0.9 - grow, 0.0),
            (0.92 * w, -0.55, 0.0),
            (w, -0.1, 0.0),
            ((0.93 + 0.03 * jaw) * w, 0.3, 0.05),
            ((0.72 + 0.12 * jaw) * w, 0.66, 0.15),
            ((0.38 + 0.12 * jaw) * w, (0.9 + 0.02 * jaw) * look.chin + grow, 0.28),
        ]
        points = [head.flat(x, y, z) for x, y, z in right]
        points.append(head.flat(0.0, look.chin + grow, 0.32))
        points += [head.flat(-x, y, z) for x, y, z in right[:0:-1]]
        return smooth(points, steps)

    def _body(self, canvas: Canvas, head: Head) -> None:
        """Draw neck, shoulders and clothes; they hardly follow the head."""
        look = self.look
        s = head.size
        x = canvas.width * SCALE / 2 + 0.25 * (head.x - canvas.width * SCALE / 2)
        top, bottom = canvas.height * SCALE / 2 + 0.95 * s, canvas.height * SCALE + 4.0
        cloth = canvas.ink(BACKGROUND, look.cloth, 0, 0, 0, 1)
        fold = canvas.ink(BACKGROUND, scale(look.cloth, 0.8), 0, 0, 0, 1)
        collar = canvas.ink(BACKGROUND, look.collar, 0, 0, 0, 1)
        neck = canvas.ink(BACKGROUND, scale(mix(look.skin, look.blush, 0.2), 0.8), 0.55)
        shade = canvas.ink(BACKGROUND, scale(mix(look.skin, look.blush, 0.35), 0.6), 0.55)
        wide = 1.35 + 0.25 * look.jaw
        if look.neckline == "hood":
            canvas.ellipse(x, top + 0.12 * s, 0.95 * s, 0.42 * s, fold)
        half = [(0.4, -0.02), (0.85, 0.14), (wide, 0.42), (wide + 0.2, 1.2)]
        shoulders = [*((-a, b) for a, b in reversed(half)), *half]
        curve = smooth([(x + a * s, top + b * s) for a, b in shoulders], 5, closed=False)
        canvas.polygon([*curve, (x + (wide + 0.2) * s, bottom), (x - (wide + 0.2) * s, bottom)], cloth)
        for side in (-1, 1):
            canvas.polygon(
                [(x + side * 0.95 * s, bottom), (x + side * 1.0 * s, top + 0.75 * s), (x + side * 1.08 * s, bottom)],
                fold,
            )
        nw = 0.36 + 0.08 * look.jaw
        lx, ly = head.flat(-nw, 0.5, -0.1)
        rx, ry = head.flat(nw, 0.5, -0.1)
        dip = 0.5 if look.neckline in ("v", "shirt") else 0.26
        canvas.polygon(
            smooth(
                [
                    (lx, ly),
                    (rx, ry),
                    (x + nw * s, top),
                    (x + 0.46 * s, top + 0.06 * s),
                    (x, top + dip * s),
                    (x - 0.46 * s, top + 0.06 * s),
                    (x - nw * s, top),
                ],
                4,
            ),
            neck,
        )
        cx, cy = head.flat(0.0, look.chin + 0.1, 0.15)
        canvas.polygon(
            smooth(
                [
                    (lx, ly),
                    (rx, ry),
                    (x + nw * 0.98 * s, (cy + top) / 2),
                    (cx, cy + 0.05 * s),
                    (x - nw * 0.98 * s, (cy + top) / 2),
                ],
                4,
            ),
            shade,
        )
        if look.neckline == "shirt":
            for side in (-1, 1):
                canvas.polygon(
                    [
                        (x + side * 0.4 * s, top - 0.1 * s),
                        (x, top + 0.5 * s),
                        (x + side * 0.34 * s, top + 0.62 * s),
                        (x + side * 0.62 * s, top + 0.1 * s),
                    ],
                    collar,
                )
        elif look.neckline in ("round", "v"):
            edge = [(x + side * 0.46 * s, top + 0.05 * s) for side in (-1, 1)]
            canvas.line(smooth([edge[0], (x, top + dip * s), edge[1]], 6, closed=False), collar, 0.07 * s)
        else:
            for side in (-1, 1):
                canvas.line(
                    [(x + side * 0.2 * s, top + 0.3 * s), (x + side * 0.22 * s, top + 0.8 * s)], collar, 0.05 * s
                )

    def _face(self, canvas: Canvas, head: Head) -> None:
        """Draw ears and the bare face, with its beard."""
        look = self.look
        skin = canvas.ink(FACE, look.skin, 1)
        ear = canvas.ink(FACE, mix(look.skin, look.blush, 0.5), 0.9)
        inner = canvas.ink(FACE, scale(mix(look.skin, look.blush, 0.8), 0.85), 0.9)
        if look.hair_style not in ("long", "bob", "curly"):
            for side in (-1, 1):
                u, v = head.flat(side * (look.width + 0.02), 0.06, -0.16)
                canvas.ellipse(u, v, 0.12 * head.size, 0.2 * head.size, ear)
                canvas.ellipse(u, v, 0.06 * head.size, 0.12 * head.size, inner)
        canvas.polygon(self._outline(head), skin)
        if look.beard:
            beard(canvas, head, look)

    def _ornaments(self, canvas: Canvas, head: Head) -> None:
        """Draw what the map does not tell of: glasses, earrings, freckles."""
        look = self.look
        if look.freckles:
            spot = canvas.ink(FACE, scale(mix(look.skin, look.blush, 0.6), 0.85), 1)
            for a, b, _ in self._curls[:22]:
                x = (a - 0.5) * 1.0
                u, v = head.on(x, 0.14 + 0.2 * b)
                if abs(x) > 0.16:
                    canvas.ellipse(u, v, 0.014 * head.size, 0.014 * head.size, spot)
        if look.earrings is not None:
            gold = canvas.ink(BACKGROUND, look.earrings)
            for side in (-1, 1):
                if side * head.pose.yaw < 0.3:
                    u, v = head.flat(side * (look.width + 0.03), 0.34, -0.14)
                    canvas.ellipse(u, v, 0.05 * head.size, 0.07 * head.size, gold)
        if look.glasses is not None:
            frame = canvas.ink(FACE, look.glasses)
            thick = max(0.035 * head.size, 1.5)
            for side in (-1, 1):
                ring = [
                    head.on(side * look.eye_x + 0.25 * math.cos(a), look.eye_y + 0.02 + 0.2 * math.sin(a), 0.12)
                    for a in (k * math.pi / 12 for k in range(25))
                ]
                canvas.line(ring, frame, thick)
                if side * head.pose.yaw < 0.2:
                    canvas.line(
                        [
                            head.on(side * (look.eye_x + 0.25), look.eye_y, 0.1),
                            head.flat(side * look.width, look.eye_y - 0.02, -0.05),
                        ],
                        frame,
                        thick,
                    )
            canvas.line([head.on(x, look.eye_y, 0.14) for x in (-look.eye_x + 0.25, look.eye_x - 0.25)], frame, thick)
