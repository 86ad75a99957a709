"""What all images of `metai2i translate` have in common: the way, the exemplar, the domain that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.folders import single_by_stem
from metai2i.data.pairs_in_folders import check_view
from metai2i.errors import UserError, did_you_mean
from metai2i.field import EXEMPLAR
from metai2i.inference.field_folders import label_number, stacked
from metai2i.inference.model_file import AdaptedModel
from metai2i.inference.pair_folders import IMAGE_ENDINGS, read_field
from metai2i.training.ways import drawing_ways, exemplars_of_way, fields_of_way, ways_with_exemplar

MAP, DOMAIN = f"{EXEMPLAR}_structure", f"{EXEMPLAR}_domain"
MOST_EXEMPLARS = 8
"""In a grid."""


@dataclass(frozen=True)
class Given:
    """What all images have in common.

    Args:
        model: that paints them.
        way: in which it is asked.
        fields: one sample of the fields that all images have; None for none.
        exemplars: those of a grid, with the fields of exemplars alone; None for no grid.
        is_supports: whether these are the support's, because nobody has named others.
    """

    model: AdaptedModel
    way: str | None
    fields: Batch | None = None
    exemplars: Batch | None = None
    is_supports: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Return the fields that all images have in common."""
        return frozenset(self.fields or ())

    def of(self, inputs: Batch) -> Batch:
        """Return inputs with the fields that all have in common."""
        return inputs if self.fields is None else inputs.replace(**self.fields.select([0] * inputs.size))

    def check_drawn(self, images: Tensor) -> None:
        """Refuse several outputs for an input that are all the same.

        Args:
            images: (B, S, 3, H, W).

        Raises:
            UserError: saying which ways draw, as far as it is known.
        """
        count = images.shape[1]
        if count < 2 or not torch.equal(images, images[:, :1].expand_as(images)):
            return
        ways = [way for way in drawing_ways(self.model.translator) if way not in (None, self.way)]
        hint = f"--way {ways[0]} draws" if ways else "leave --samples out"
        more = "; --grid shows other exemplars" if EXEMPLAR in exemplars_of_way(self.model.translator, self.way) else ""
        raise UserError(
            f"--samples {count}: {called(self.model, self.way)} draws nothing, so its {count} images of an input would "
            "be the same",
            hint=f"{hint}{more}",
        )


def called(model: AdaptedModel, way: str | None) -> str:
    """Return a model's translator in words, with the way in which it is asked."""
    words = f"the translator {model.about['translator']['use']!r}"
    return words if way is None else f"{words} in the way {way!r}"


def wished_way(model: AdaptedModel, way: str | None) -> str | None:
    """Return the way in which a model is asked, as wished or as the model says.

    Raises:
        UserError: with the nearest name, for a way that its translator does not have.
    """
    ways, use = model.translator.ways, model.about["translator"]["use"]
    if way is None or way in ways:
        return model.way if way is None else way
    if ways:
        raise UserError(f"--way: the translator {use!r} has no way {way!r}", hint=did_you_mean(way, ways))
    what = f"--way: the translator {use!r} can be asked in one way only, which has no name"
    raise UserError(what, hint="leave --way out")


def given_by(
    model: AdaptedModel,
    way: str | None,
    photo: Path | None,
    label_map: Path | None,
    domain: str | None,
    *,
    grid: bool = False,
) -> Given:
    """Return what all images have in common.

    Args:
        way: in which the model is asked.
        photo: the exemplar's photograph; for a grid also a folder of them. None for exemplars of the support.
        label_map: its structure, or a folder of them.
        domain: the name or the number of the domain to translate into: of the exemplar, or else of the input; None for
            that of the support, where this is of one.
        grid: whether every input is shown with every exemplar.

    Raises:
        UserError: for what the translator does not read in this way, or for a file that cannot be used.
    """
    exemplars, everything = exemplars_of_way(model.translator, way), fields_of_way(model.translator, way)
    if photo is None and label_map is not None:
        raise UserError("--reference-map goes with a photograph", hint="--reference names it")
    option = "--reference" if photo is not None else "--grid"
    if (photo is not None or grid) and EXEMPLAR not in exemplars:
        others = ways_with_exemplar(model.translator)
        hint = f"--way {others[0]}" if others else f"leave {option} out"
        raise UserError(f"{option}: {called(model, way)} is shown no exemplar", hint=hint)
    number = None
    if domain is not None:
        if not {DOMAIN, "domain"} & everything:
            raise UserError(f"--domain: {called(model, way)} reads no domain", hint="leave --domain out")
        try:
            number = label_number(domain, model.spec.field("domain"), "--domain")
        except UserError as error:
            raise UserError(f"--domain: {error.what}", hint=error.hint) from None
    if number is not None and DOMAIN not in exemplars:
        given = Given(model, way, Batch(domain=torch.tensor([number])))
    elif number is not None and photo is None and exemplars != {DOMAIN}:
        given = Given(of_domain(model, number, str(domain)), way)
    else:
        given = Given(model, way, Batch(**{DOMAIN: torch.tensor([number])}) if number is not None else None)
    if photo is not None:
        shown = read_exemplars(model, exemplars, photo, label_map, several=grid)
        shown = shown if given.fields is None else shown.replace(**given.fields.select([0] * shown.size))
        if DOMAIN in exemplars - set(shown) and (only := only_domain(model)) is not None:
            shown = shown.replace(**{DOMAIN: only.expand(shown.size)})
        lacking = sorted(exemplars - set(shown))
        if lacking:
            hint = "put the exemplar of each image into a folder for each field, beside the others"
            hint = "--domain names it" if lacking == [DOMAIN] else hint
            raise UserError(f"--reference: the translator reads {', '.join(lacking)}, too", hint=hint)
        given = replace(given, fields=shown.select([0]), exemplars=shown if grid else None)
    elif grid:
        assert given.model.reference is not None
        shown = given.model.reference.shown(given.model.support)
        given = replace(given, exemplars=shown.select(range(min(shown.size, MOST_EXEMPLARS))), is_supports=True)
    return given


def only_domain(model: AdaptedModel, field: str = DOMAIN) -> Tensor | None:
    """Return the number of the domain that all of a model's support is of, (1,); None where there are several, or none.

    Args:
        field: that says so, of the exemplars or of the samples themselves (`domain`).
    """
    known = set(model.support[field].tolist()) if field in model.support else set()
    return torch.tensor([*known]) if len(known) == 1 else None


def of_domain(model: AdaptedModel, number: int, name: str) -> AdaptedModel:
    """Return a model whose exemplars are those of its support that are of a domain: by what their samples say of the
    exemplars, where these are the data's own.

    Raises:
        UserError: when none is.
    """
    field = DOMAIN if DOMAIN in model.support else "domain"
    places = torch.nonzero(model.support[field] == number).flatten()
    if not len(places):
        what = f"--domain {name}: no sample of the support is of this domain"
        raise UserError(what, hint="--reference names a photograph of it")
    return replace(model, support=model.support.select(places))


def read_exemplars(
    model: AdaptedModel, names: frozenset[str], photo: Path, label_map: Path | None, *, several: bool
) -> Batch:
    """Return exemplars that a user names: their photographs, and their label maps where the translator reads them.

    Args:
        names: the fields of exemplars that it reads.
        photo: a photograph, or a folder of them.
        label_map: its map, or a folder of maps of the same names.
        several: whether folders will do.

    Raises:
        UserError: for a file that is missing, cannot be used, or shows another view.
    """
    if MAP in names and label_map is None:
        hint = "--reference-map names it"
        raise UserError("--reference: the translator reads the exemplar's label map as well", hint=hint)
    if label_map is not None and MAP not in names:
        raise UserError("--reference-map: the translator does not read the exemplar's label map", hint="leave it out")
    samples: list[dict[str, Tensor]] = []
    for shown, beside in exemplar_files(photo, label_map, several=several):
        if beside is not None:
            check_view(shown, beside, exact_formats=model.spec.field("structure").kind == "onehot")
        files = {EXEMPLAR: shown} | ({} if beside is None else {MAP: beside})
        samples.append({name: read_field(path, name, model.spec) for name, path in files.items()})
    return stacked(samples)


def exemplar_files(photo: Path, label_map: Path | None, *, several: bool) -> Sequence[tuple[Path, Path | None]]:
    """Return the files of exemplars: photographs, each with its map.

    Raises:
        UserError: for folders where one file is wanted, or that do not go together.
    """
    if not photo.is_dir():
        return [(photo, label_map)]
    if not several:
        what, hint = (
            "--reference: this is a folder, expected a photograph",
            "--grid shows every input with each of them",
        )
        raise UserError(what, where=photo, hint=hint)
    photos = single_by_stem(photo, IMAGE_ENDINGS)
    if not photos:
        raise UserError("--reference: there are no photographs in this folder", where=photo)
    stems = sorted(photos)[:MOST_EXEMPLARS]
    if label_map is None:
        return [(photos[stem], None) for stem in stems]
    if not label_map.is_dir():
        what = "--reference-map: this is a file, expected a folder of the maps of all photographs"
        raise UserError(what, where=label_map)
    maps = single_by_stem(label_map, IMAGE_ENDINGS)
    lacking = next((stem for stem in stems if stem not in maps), None)
    if lacking is not None:
        what = f"this exemplar has no map: {label_map} has no image called {lacking!r}"
        raise UserError(what, where=photos[lacking])
    return [(photos[stem], maps[stem]) for stem in stems]
