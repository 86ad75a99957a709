"""Small generated trees in every layout, and the real files where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROAD, BUILDING, SKY, CAR, OTHER = 0, 2, 10, 13, 19
SEGNET = {ROAD: 3, BUILDING: 1, SKY: 0, CAR: 8, OTHER: 11}
CITYSCAPES = {ROAD: 7, BUILDING: 11, SKY: 23, CAR: 26, OTHER: 4}
TRAIN_IDS = {ROAD: 0, BUILDING: 2, SKY: 10, CAR: 13, OTHER: 255}
CAMVID_COLOURS = {
    ROAD: (128, 64, 128),
    BUILDING: (128, 0, 0),
    SKY: (128, 128, 128),
    CAR: (64, 0, 128),
    OTHER: (0, 0, 0),
}
CITYSCAPES_COLOURS = {
    ROAD: (128, 64, 128),
    BUILDING: (70, 70, 70),
    SKY: (70, 130, 180),
    CAR: (0, 0, 142),
    OTHER: (0, 0, 0),
}
IDENTITY = {i: i for i in range(20)}
HEIGHT, WIDTH = 32, 64
FRAMES = tuple(f"0001TP_{6690 + 30 * i:06d}" for i in range(3)) + tuple(f"Seq05VD_f{30 * i:05d}" for i in range(2))


def label_map(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Sky above, road below, a building left, a car in the middle, other at the bottom."""
    ids = np.full((height, width), ROAD, np.uint8)
    ids[: height // 2] = SKY
    ids[: 3 * height // 4, : width // 4] = BUILDING
    ids[height // 2 : 3 * height // 4, width // 2 : 3 * width // 4] = CAR
    ids[-height // 8 :] = OTHER
    return ids


def photo(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def shift(part: str) -> int:
    """Added to the seeds of those that train, so that no photograph is in two splits."""
    return 100 if part == "train" else 0


def in_ids(codes: dict[int, int], ids: np.ndarray | None = None) -> Image.Image:
    ids = label_map() if ids is None else ids
    return Image.fromarray(np.vectorize(codes.get)(ids).astype(np.uint8))


def in_colours(codes: dict[int, tuple[int, int, int]], ids: np.ndarray | None = None) -> Image.Image:
    ids = label_map() if ids is None else ids
    lookup = np.zeros((20, 3), np.uint8)
    for to, colour in codes.items():
        lookup[to] = colour
    return Image.fromarray(lookup[ids])


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **({"quality": 92, "subsampling": 0} if path.suffix == ".jpg" else {}))
    return path


class Trees:
    """Writes small data sets. Each method returns the folder that is the data set."""

    FRAMES = FRAMES
    ROAD = ROAD
    IDENTITY = IDENTITY
    CAMVID_COLOURS = CAMVID_COLOURS
    CITYSCAPES_COLOURS = CITYSCAPES_COLOURS
    save = staticmethod(save)
    photo = staticmethod(photo)
    label_map = staticmethod(label_map)
    in_ids = staticmethod(in_ids)
    in_colours = staticmethod(in_colours)

    @staticmethod
    def compact_camvid(folder: Path, frames: tuple[str, ...] = FRAMES) -> Path:
        for i, name in enumerate(frames):
            save(photo(i), folder / f"{name}.jpg")
            save(in_ids(IDENTITY), folder / f"{name}.png")
        return folder

    @staticmethod
    def compact_cityscapes(folder: Path, train: int = 3, val: int = 2) -> Path:
        for part, count in (("train", train), ("val", val)):
            for i in range(1, count + 1):
                save(photo(i + shift(part)), folder / part / f"{part}_{i:04d}.jpg")
                save(in_ids(IDENTITY), folder / part / f"{part}_{i:04d}.png")
        return folder

    @staticmethod
    def segnet(folder: Path) -> Path:
        for i, name in enumerate(FRAMES):
            part = ("train", "test")[i >= 3]
            save(photo(i), folder / part / f"{name}.png")
            save(in_ids(SEGNET), folder / f"{part}annot" / f"{name}.png")
        return folder

    @staticmethod
    def colour_labels(folder: Path) -> Path:
        for i, name in enumerate(FRAMES):
            part = ("train", "val")[i >= 3]
            save(photo(i), folder / part / f"{name}.png")
            save(in_colours(CAMVID_COLOURS), folder / f"{part}_labels" / f"{name}_L.png")
        rows = ["name,r,g,b", "Road,128, 64, 128", "Building ,128, 0,0", "Sky,128,128 ,128", "Car,64, 0, 128"]
        (folder / "class_dict.csv").write_text("\n".join([*rows, "Void,0, 0, 0"]))
        return folder

    @staticmethod
    def official_camvid(folder: Path) -> Path:
        for i, name in enumerate(FRAMES):
            save(photo(i), folder / "701_StillsRaw_full" / f"{name}.png")
            save(in_colours(CAMVID_COLOURS), folder / "LabeledApproved_full" / f"{name}_L.png")
        colours = ["128 64 128\tRoad", "128 0 0\t\tBuilding", "128 128 128\tSky", "64 0 128\tCar", "0 0 0\tVoid"]
        (folder / "label_colors.txt").write_text("\n".join(colours) + "\n")
        return folder

    @staticmethod
    def pix2pix(folder: Path, quality: int = 92) -> Path:
        # Squeezed to squares: 64x64 halves hold views of 64x32.
        tall = label_map(2 * HEIGHT, WIDTH)
        for part, count in (("train", 3), ("val", 2)):
            for i in range(1, count + 1):
                pair = Image.new("RGB", (2 * WIDTH, 2 * HEIGHT))
                pair.paste(photo(i + shift(part), 2 * HEIGHT, WIDTH), (0, 0))
                pair.paste(in_colours(CITYSCAPES_COLOURS, tall), (WIDTH, 0))
                (folder / part).mkdir(parents=True, exist_ok=True)
                pair.save(folder / part / f"{i}.jpg", quality=quality)
        return folder

    @staticmethod
    def official_cityscapes(folder: Path, kind: str = "labelIds") -> Path:
        codes = CITYSCAPES if kind == "labelIds" else TRAIN_IDS
        for part, city in (("train", "aachen"), ("train", "ulm"), ("val", "lindau")):
            for i in range(2):
                name = f"{city}_{i:06d}_000019"
                save(photo(i + shift(part)), folder / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png")
                labels = folder / "gtFine" / part / city
                save(in_ids(codes), labels / f"{name}_gtFine_{kind}.png")
                # The official tree holds further files beside them.
                save(in_colours(CITYSCAPES_COLOURS), labels / f"{name}_gtFine_color.png")
                (labels / f"{name}_gtFine_polygons.json").write_text("{}")
        return folder

    @staticmethod
    def cityscapes_instances(folder: Path) -> Path:
        """The official layout with instance maps: each car is one."""
        Trees.official_cityscapes(folder)
        for labels in sorted(folder.rglob("*_gtFine_labelIds.png")):
            ids = np.asarray(Image.open(labels)).astype(np.uint16)
            ids[ids == CITYSCAPES[CAR]] = 1000 * CITYSCAPES[CAR]
            save(Image.fromarray(ids), labels.with_name(labels.name.replace("labelIds", "instanceIds")))
        return folder

    @staticmethod
    def coco_stuff(folder: Path) -> Path:
        """Two photographs to train on and two to test, as SPADE lays COCO-Stuff out; its ids stand for whatever."""
        for part in ("train", "val"):
            for i in range(2):
                save(photo(i + shift(part)), folder / f"{part}_img" / f"{i:012d}.jpg")
                for kind in ("label", "inst"):
                    save(in_ids(IDENTITY), folder / f"{part}_{kind}" / f"{i:012d}.png")
        return folder

    @staticmethod
    def bdd100k_seg(folder: Path) -> Path:
        for part, count in (("train", 3), ("val", 2)):
            for i in range(count):
                save(photo(i + shift(part)), folder / "seg/images" / part / f"00{i}ab-{part}.jpg")
                save(in_ids(TRAIN_IDS), folder / "seg/labels" / part / f"00{i}ab-{part}_train_id.png")
        return folder

    @staticmethod
    def bdd100k_images(folder: Path) -> Path:
        for part, count in (("train", 3), ("val", 2)):
            for i in range(count):
                save(photo(i + shift(part)), folder / "images/10k" / part / f"00{i}ab-{part}.jpg")
                save(in_ids(TRAIN_IDS), folder / "labels/sem_seg/masks" / part / f"00{i}ab-{part}.png")
        return folder


@pytest.fixture
def trees() -> type[Trees]:
    return Trees


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test writes to the user's cache folder."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("METAI2I_CACHE", str(folder))
    return folder


@pytest.fixture
def small() -> Callable[..., object]:
    """A `Street` of tiny images."""
    from metai2i_street.street import Street

    def make(root: Path, **options: object) -> Street:
        return Street(**{"root": root, "size": (HEIGHT, WIDTH), "clip": 2, **options})

    return make


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder with real images beside the checkout."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data"
    if not (folder / "street").is_dir():
        pytest.skip("no real street images beside the checkout")
    return folder
