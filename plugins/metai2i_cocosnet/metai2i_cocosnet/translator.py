"""`Cocosnet`: a map and an exemplar to a photograph (Zhang et al., "Cross-domain Correspondence Learning for
Exemplar-based Image Translation", 2020; microsoft/CoCosNet is the official repository)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from metai2i_spade import Guide, JudgedGenerator, doublings_of
from torch import Tensor, nn
from torch.nn.functional import interpolate, l1_loss, mse_loss

from metai2i import Batch, Count, Move, Objective, Positive, Step, TaskSpec, UserError, Weight, Whole
from metai2i.data import class_colours
from metai2i.losses import network
from metai2i_cocosnet.correlation import matrix_bytes
from metai2i_cocosnet.correspondence import Correspondence, patches, pooled, unpatched
from metai2i_cocosnet.losses import Centre, contextual_of_layers, feature_distance, mask_loss, weighted_distance
from metai2i_cocosnet.networks import attentive_discriminator, check_judged, translation_generator

log = logging.getLogger(__name__)
LAYERS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
"""The second convolution of each block is looked at."""


@dataclass(frozen=True)
class Warp:
    """An exemplar in the layout of a map; (h, w) are the positions that are compared.

    Args:
        image: (B, 3, H, W), the photograph carried over.
        labels: (B, L, h, w), its map carried over.
        map_features: (B, C, h, w), what the adaptor has given for the map.
        exemplar: (B, V, h, w), what was carried over of the photograph.
        returned: (B, V, h, w), the same, there and back; None where nobody asks for it.
    """

    image: Tensor
    labels: Tensor
    map_features: Tensor
    exemplar: Tensor
    returned: Tensor | None


class Cocosnet(JudgedGenerator):
    """The exemplar is warped to where the map has its like; it and the map modulate every normalisation.

    The recipe's objective is minimised besides the losses of the paper, whose published settings are `objective: {l1:
    0, adversarial: 10, perceptual: 0, gan: hinge}`. Losses on features need a frozen network (`vgg`); without it
    they are left out, and an objective with `perceptual` (LPIPS) stands in for them.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; without an adversarial term there is no discriminator.
        exemplar: whether there is an exemplar. Without one, for comparison, the same generator is guided by the map
            alone, and there is no correspondence.
        width: features of the generator's last block (the paper has 64); memory and time grow with its square.
        ups: how many times the generator doubles the resolution; by default as often as it can begin with 4 pixels a
            side, 5 times at the most.
        hidden: features between the guide and what it does to a normalisation; twice the width by default (128 in the
            paper).
        attention: attend to all positions at half the image's size, and in the discriminator.
        c_width: features of the correspondence's first layers; as `width` by default.
        stride: pixels a side of a position that is compared: 4 as published; less for small images. Memory grows with
            its fourth power.
        kernel: of the correspondence's convolutions of stride 2: 3 (published for ADE20K), or 4 (for all others).
        match: neighbours a side that are compared with a position.
        temperature: tau of the softmax over the exemplar's positions.
        chunk: positions that are compared at a time, here and in attention. The result is the same; it bounds the
            matrix, and what is needed for gradients is computed twice. 0 for all at once.
        map_too: show the matching layers the maps of both sides (published for label maps, not for poses).
        coordinates: show them where a position lies.
        warp: carry over the mean colour of a position (pooled), or all its pixels (patches; for clothes).
        enlarge: how mean colours are brought to the image's size: bilinear (published for faces), or nearest (ADE20K).
        vgg: the frozen network whose features are compared: vgg19-caffe (as published), or torchvision's vgg19 or
            vgg16; its weights lie in the folder of `--weights`. null for none.
        perceptual: weight of the squared distance from the photograph in one layer's features.
        perceptual_layer: which: relu4_2, or relu5_2 (published for ADE20K).
        contextual: weight of the contextual distance from the exemplar.
        centre: what the contextual distance subtracts: position (published), or channel.
        self_features: weight of the distance from the photograph in all layers' features, for exemplars of the sample
            itself (10 published; 1 for ADE20K).
        self_warp: weight of the warped exemplar's distance from the photograph, for exemplars of the sample itself (100
            published for poses).
        self_exemplars: count every exemplar in training as one of the sample itself, as published for people in several
            views. Without it those count that are (`reference: {self_share: 0.3}`, or `{train: target}`).
        alignment: weight of the distance between what the adaptors give for a map and for its photograph.
        mask: weight of the warped map's likelihood (100 published for label maps); class 0 does not count.
        cycle: weight of the exemplar's distance from itself, warped there and back (0.1 published for face masks).
        matching: weight of the distance in the discriminator's features.
        d_width: features of the discriminator's first layer; as `width` by default.
        d_layers: convolutions of each scale of the discriminator before its last.
        d_scales: how many scales it has.
        d_rate: the discriminator's learning rate, as a multiple of the recipe's.

    Raises:
        UserError: when the size does not fit `ups`, `stride` or `d_layers`.
    """

    needs = JudgedGenerator.needs | {"reference", "reference_structure"}

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        exemplar: bool = True,
        width: Count = 64,
        ups: Count | None = None,
        hidden: Count | None = None,
        attention: bool = True,
        c_width: Count | None = None,
        stride: Literal[1, 2, 4] = 4,
        kernel: Literal[3, 4] = 3,
        match: Literal[1, 3, 5] = 3,
        temperature: Positive = 0.01,
        chunk: Whole = 1024,
        map_too: bool = True,
        coordinates: bool = False,
        warp: Literal["pooled", "patches"] = "pooled",
        enlarge: Literal["bilinear", "nearest"] = "bilinear",
        vgg: Literal["vgg19-caffe", "vgg19", "vgg16"] | None = None,
        perceptual: Weight = 0.001,
        perceptual_layer: Literal["relu4_2", "relu5_2"] = "relu4_2",
        contextual: Weight = 10.0,
        centre: Centre = "position",
        self_features: Weight = 10.0,
        self_warp: Weight = 0.0,
        self_exemplars: bool = False,
        alignment: Weight = 10.0,
        mask: Weight = 100.0,
        cycle: Weight = 0.0,
        matching: Weight = 10.0,
        d_width: Count | None = None,
        d_layers: Count = 4,
        d_scales: Count = 2,
        d_rate: Positive = 4.0,
    ) -> None:
        doublings = doublings_of(spec.size, ups)
        begun = (spec.size[0] >> doublings, spec.size[1] >> doublings)
        if width < 2 or (c_width or width) < 2:
            raise UserError(
                f"cocosnet: got width {width} and c_width {c_width or width}, expected at least 2: positions are "
                "normalised over their channels"
            )
        grid = compared(spec.size, stride) if exemplar else begun
        at_a_time = chunk or None
        channels = spec.structure_channels
        guided = channels + 3 * exemplar
        super().__init__(
            translation_generator(guided, begun, width, hidden or 2 * width, doublings, attention, at_a_time),
            objective,
            channels,
            matching=matching,
            d_width=1,  # another takes its place
            d_layers=1,
            d_scales=1,
            d_fake="same",
            d_rate=d_rate,
        )
        if self.discriminator is not None:
            check_judged(spec.size, d_layers, d_scales)
            self.discriminator = attentive_discriminator(channels + 3, d_width or width, d_layers, d_scales, at_a_time)
        self.correspondence: Correspondence | None = None
        if exemplar:
            self.correspondence = Correspondence(
                channels, c_width or width, stride=stride, kernel=kernel, match=match, temperature=temperature,
                chunk=at_a_time, map_too=map_too, coordinates=coordinates,
            )  # fmt: skip
        self.warped, self.enlarge, self.stride = warp, enlarge, stride
        self.vgg = None if vgg is None else network(vgg)
        self.weights = {
            "perceptual": perceptual, "contextual": contextual, "self_features": self_features, "self_warp": self_warp,
            "alignment": alignment, "mask": mask, "cycle": cycle,
        }  # fmt: skip
        self.perceptual_layer, self.centre, self.self_exemplars = LAYERS.index(perceptual_layer), centre, self_exemplars
        self.colours = tuple(class_colours(channels, spec.palette))  # for the report
        self.in_pieces = at_a_time is not None and grid[0] * grid[1] > at_a_time
        self._tell(grid, at_a_time)

    @property
    def replayable(self) -> bool:
        """Say whether nothing is computed twice for its gradient."""
        return not self.in_pieces

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return those of generator, and of correspondence and discriminator, if there are such."""
        networks = {
            "generator": self.generator,
            "correspondence": self.correspondence,
            "discriminator": self.discriminator,
        }
        return {name: network.parameters() for name, network in networks.items() if network is not None}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the move of generator and correspondence, and then that of the discriminator, which is shown the images
        that were made before the other move."""
        target, labels = batch["target"], Guide(batch["structure"])
        warp = self.warp(batch)
        fake = self.generator(self._guide(batch, warp))
        terms = self.objective.generator(fake, target) if self.objective is not None else {}
        terms |= self.adversarial_terms(labels, fake, target)
        if warp is not None:
            terms |= self._terms_of_warp(batch, warp)
        if self.vgg is not None:
            terms |= self._terms_of_features(batch, fake)
        yield "generator" if self.correspondence is None else ("generator", "correspondence"), terms
        if self.discriminator is not None:
            yield "discriminator", self.judging_terms(labels, fake, target)

    def translate(self, batch: Batch) -> Tensor:
        """Return the images for `batch["structure"]` with the look of `batch["reference"]`."""
        images: Tensor = self.generator(self._guide(batch, self.warp(batch)))
        return images

    def shown(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the exemplar and its map as they were warped (`warped`, `warped_map`); nothing without an exemplar.

        A position of the map shows the mean of its classes' colours, by their shares.
        """
        warp = self.warp(batch)
        if warp is None:
            return {}
        of_classes = warp.labels.new_tensor(self.colours) / 127.5 - 1  # (L, 3)
        colours = torch.einsum("blhw,lc->bchw", warp.labels, of_classes)
        size = (warp.image.shape[-2], warp.image.shape[-1])
        return {
            "warped": warp.image.clamp(-1, 1),
            "warped_map": interpolate(colours, size, mode="nearest").clamp(-1, 1),
        }

    def warp(self, batch: Batch) -> Warp | None:
        """Return the exemplar in the layout of the map; None for a translator without exemplars."""
        if self.correspondence is None:
            return None
        exemplar, structure = batch["reference"], batch["structure"]
        correlation = self.correspondence(structure, exemplar, batch["reference_structure"])
        values = (pooled if self.warped == "pooled" else patches)(exemplar, self.stride)
        labels = Guide(batch["reference_structure"]).at(correlation.grid)
        carried, carried_labels = correlation.warp(torch.cat([values, labels], 1)).split(
            [values.shape[1], labels.shape[1]], 1
        )
        image = self._enlarged(carried, (structure.shape[-2], structure.shape[-1]))
        returned = correlation.back(carried) if self.weights["cycle"] and torch.is_grad_enabled() else None
        return Warp(image, carried_labels, correlation.map_features, values, returned)

    def _enlarged(self, carried: Tensor, size: tuple[int, int]) -> Tensor:
        if self.warped == "patches":
            return unpatched(carried, self.stride)
        if self.enlarge == "nearest":
            return interpolate(carried, size, mode="nearest")
        return interpolate(carried, size, mode="bilinear", align_corners=False)

    def _guide(self, batch: Batch, warp: Warp | None) -> Guide:
        """Return what the generator is guided by: the warped exemplar before the map, or the map alone."""
        structure = batch["structure"]
        return Guide(structure if warp is None else torch.cat([warp.image.to(structure), structure], 1))

    def _of_itself(self, batch: Batch) -> Tensor:
        """Return (B,) which samples' exemplars are of the sample itself: all, those that the host names, or none."""
        everywhere = batch["target"].new_full((batch.size,), float(self.self_exemplars))
        return everywhere if self.self_exemplars else batch.get("self_exemplar", everywhere)

    def _knows_itself(self, batch: Batch) -> bool:
        """Return whether some exemplars may be of the sample itself."""
        return self.self_exemplars or "self_exemplar" in batch

    def _terms_of_warp(self, batch: Batch, warp: Warp) -> dict[str, Tensor]:
        """Return the weighted terms of how the exemplar is carried over."""
        assert self.correspondence is not None
        terms: dict[str, Tensor] = {}
        if self.weights["alignment"]:
            terms["alignment"] = l1_loss(*_exact(warp.map_features, self.correspondence.of_image(batch["target"])))
        if self.weights["mask"]:
            grid = (warp.labels.shape[-2], warp.labels.shape[-1])
            maps = (Guide(batch[name]).at(grid) for name in ("structure", "reference_structure"))
            terms["mask"] = mask_loss(warp.labels, *maps)
        if self.weights["self_warp"] and self._knows_itself(batch):
            terms["self_warp"] = weighted_distance(warp.image, batch["target"], self._of_itself(batch))
        if warp.returned is not None:
            terms["cycle"] = l1_loss(*_exact(warp.returned, warp.exemplar))
        return {name: self.weights[name] * term for name, term in terms.items()}

    def _terms_of_features(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Return the weighted terms of VGG features."""
        assert self.vgg is not None
        outputs = self.vgg(fake, LAYERS)
        with torch.no_grad():
            target = self.vgg(batch["target"], LAYERS)
        terms: dict[str, Tensor] = {}
        if self.weights["perceptual"]:
            terms["perceptual"] = mse_loss(*_exact(outputs[self.perceptual_layer], target[self.perceptual_layer]))
        if self.correspondence is not None and self.weights["contextual"]:
            with torch.no_grad():
                exemplar = self.vgg(batch["reference"], LAYERS)
            terms["contextual"] = contextual_of_layers(outputs, exemplar, self.centre)
        if self.correspondence is not None and self.weights["self_features"] and self._knows_itself(batch):
            terms["self_features"] = feature_distance(outputs, target, self._of_itself(batch))
        return {name: self.weights[name] * term for name, term in terms.items()}

    def _tell(self, grid: tuple[int, int], at_a_time: int | None) -> None:
        """Log what memory the correlation takes, and which losses are left out."""
        if self.correspondence is not None:
            places = grid[0] * grid[1]
            log.info(
                "cocosnet: %d positions are compared with as many, %d at a time: %.1f MiB a sample",
                places, min(places, at_a_time or places), matrix_bytes(places, at_a_time) / 2**20,
            )  # fmt: skip
        if self.vgg is None:
            log.info("cocosnet: no VGG features, so the losses on them are left out (translator.vgg)")


def compared(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return how many positions are compared, (h, w).

    Raises:
        UserError: when the size is no multiple of the stride, or leaves less than 2 positions a side.
    """
    if any(side % stride or side // stride < 2 for side in size):
        raise UserError(
            f"cocosnet: size {size[0]}x{size[1]} does not have positions of {stride} pixels a side, 2 or more a side",
            hint="lower stride" if stride > 1 else "use larger images",
        )
    return size[0] // stride, size[1] // stride


def _exact(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return half precision as float32, and any other as it is."""
    exact = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
    return first.to(exact), second.to(exact)
