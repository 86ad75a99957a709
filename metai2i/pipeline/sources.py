"""The files that a component's behaviour is written in, and what each of them says.

A component depends on the modules of its class, of the classes it is derived from and of its metaclass, and on all that
these import, at the top or inside functions. Imports inside hooks do not count: they hand over other components. What
is followed so are plugins, whether packages or single files, and whatever else lies outside of the environment's
`site-packages`; of what is installed there the version counts, and a digest of the files as they were installed. The
standard library does not count, nor do the core's modules that compute, which are in every stage's name already.

Besides sources the data files of a package count, and the files beside a single module that its text names. A package
that imports by names which are computed while it runs counts as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import getmro
from pathlib import Path

from metai2i.data.digests import content_digests, file_sha256
from metai2i.errors import UserError
from metai2i.pipeline.source_places import (
    distribution,
    files_below,
    is_installed,
    is_standard,
    module_file,
    place_of,
    plugin_packages,
)
from metai2i.pipeline.source_text import named_beside, read_source

CORE = "metai2i"
HOME = Path(__file__).parents[1]
COMPUTING_FOLDERS = frozenset(
    ["", "data", "distributed", "losses", "meta", "meta/engines", "metrics", "pipeline", "registry", "stages"]
) | {"training"}
"""The core's folders whose modules decide a stage's numbers; the others tell of stages, or use them."""
TELLING = frozenset(
    [
        "exporter.py", "pipeline/kept_stages.py", "pipeline/outlook.py", "pipeline/reasons.py",
        "training/on_the_way.py", "training/progress.py",
    ]
)  # fmt: skip
"""What only tells though it lies in one of them."""
_WATCHED = frozenset(
    ["torch", "torchvision", "torchmetrics", "learn2learn", "lpips", "numpy", "scipy", "PIL", "safetensors"]
)
"""Packages whose versions are in every stage's name."""
FEATURES = (
    "metai2i.losses.lpips",
    "metai2i.losses.backbone_weights",
    *(
        f"{module}.{name}"
        for module in ("metai2i.metrics", "metai2i.metrics.builtin")
        for name in ("lpips", "Lpips", "own_metrics", "measure")
    ),
)
"""Where the core's feature networks can be had."""
DIGITS = 16


@dataclass(frozen=True)
class Sources:
    """What a component depends on.

    Args:
        files: digests by name, of every file that decides what it does, and of packages it takes from others. Names do
            not depend on where things are installed: `metai2i_pix2pix/unet.py`, `mine.py`, `package timm 1.0`.
        networks: the feature networks whose weights it may use: those that its class names (`feature_networks`), and
            those that its sources name where they use the core's.
    """

    files: Mapping[str, str]
    networks: frozenset[str]

    @property
    def digest(self) -> str:
        """Return the SHA-256 over all of its files."""
        hasher = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            hasher.update(name.encode() + b"\0" + bytes.fromhex(content))
        return hasher.hexdigest()


def sources_of(component: type) -> Sources:
    """Return what a class depends on, as it lies on the disk now."""
    walk = _Walk()
    for each in (*getmro(component), *getmro(type(component))):
        walk.module(each.__module__, plugin_code=each is component)
    files = {**_named(walk.files, _digests(list(walk.files))), **walk.packages}
    used = any(name.startswith(FEATURES) for name in walk.seen) and component.__module__.partition(".")[0] != CORE
    networks = {*getattr(component, "feature_networks", ()), *(walk.networks | {"alex"} if used else ())}
    return Sources(files, frozenset(networks))


def core_files() -> dict[str, str]:
    """Return digests of the core's modules that compute, by name."""
    paths = sorted(file for file in HOME.rglob("*.py") if _computes(file))
    return {f"{CORE}/{path.relative_to(HOME).as_posix()}": file_sha256(path)[:DIGITS] for path in paths}


def _computes(file: Path) -> bool:
    """Return whether a module of the core decides a stage's numbers."""
    name = file.relative_to(HOME).as_posix()
    return name.rpartition("/")[0] in COMPUTING_FOLDERS and name not in TELLING


def _named(files: dict[Path, str], digests: dict[Path, str]) -> dict[str, str]:
    """Return digests by the names of the files; of namesakes the later ones are numbered."""
    names: dict[str, str] = {}
    for path, name in sorted(files.items(), key=lambda item: (item[1], digests[item[0]])):
        number = sum(known.partition(" ")[0] == name for known in names) + 1
        names[name if number == 1 else f"{name} {number}"] = digests[path]
    return names


def _digests(paths: Sequence[Path]) -> dict[Path, str]:
    """Digest sources, which are small, as they are now; data files as they are kept."""
    small = [path for path in paths if path.suffix == ".py"]
    large = [path for path in paths if path.suffix != ".py"]
    try:
        kept = dict(zip(large, content_digests(large), strict=True))
    except UserError:  # one of them went away, or may not be read
        kept = dict(zip(large, map(_digest, large), strict=True))
    return kept | {path: _digest(path) for path in small}


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return ""


@dataclass
class _Walk:
    """Goes from module to module by what they import."""

    files: dict[Path, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)

    def module(self, name: str, beside: Path | None = None, *, plugin_code: bool = False) -> None:
        """Take in a module with all that it imports.

        Args:
            name: dotted; what is no module is passed over.
            beside: the folder of the module that imports it, where it may lie as well.
            plugin_code: whether it holds the component itself, which counts even if it is in the core.
        """
        if name in self.seen:
            return
        self.seen.add(name)
        top = name.partition(".")[0]
        if top == CORE:
            self._core(name, plugin_code)
            return
        place = place_of(top, beside)
        if place is None or is_standard(top, place):
            return
        if is_installed(place) and top not in plugin_packages():
            if top not in _WATCHED:
                self.packages |= distribution(top)
            return
        self._own(name, place)

    def _core(self, name: str, plugin_code: bool) -> None:
        file = HOME.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if name != CORE and file.is_file() and (plugin_code or not _computes(file)):
            self.files[file] = file.name if plugin_code else f"{CORE}/{file.relative_to(HOME).as_posix()}"

    def _own(self, name: str, place: Path) -> None:
        """Take in a module of a plugin, and what runs when it is imported: the packages that it is in."""
        if place.is_dir():
            parts = name.split(".")
            for count in range(1, len(parts) + 1):
                file = module_file(place, parts[1:count])
                if file is not None:
                    self._source(file, ".".join(parts[:count]), place)
            self._data(place)
        else:
            self._source(place, name, None)

    def _data(self, package: Path) -> None:
        if (package / "__init__.py").is_file():
            for path in files_below(package):
                if path.suffix != ".py":
                    self._file(path, package)

    def _file(self, path: Path, package: Path | None) -> None:
        name = path.name if package is None else path.relative_to(package.parent).as_posix()
        self.files.setdefault(path, name)

    def _source(self, path: Path, name: str, package: Path | None) -> None:
        """Take in a source, and what it imports."""
        if path in self.files:
            return
        self._file(path, package)
        source = read_source(path, name, whole=package is None)
        self.networks |= source.networks
        for imported in source.imports:
            self.module(imported, path.parent)
        if package is None:
            for named in named_beside(path, source):
                if named.suffix == ".py":
                    self._source(named, named.stem, None)
                else:
                    self._file(named, None)
        elif source.computes_names and (package / "__init__.py").is_file():
            for other in files_below(package):
                if other.suffix == ".py":
                    self._file(other, package)
