"""The sixth interface, `FrozenNetwork`: a network with weights from elsewhere, which nobody trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from metai2i.errors import UserError
from metai2i.randomness import Randomness


class FrozenNetwork(ABC):
    """A network that losses and metrics look through; `metai2i.losses.network` gives the one object that all share.

    It is called like the module that `build` makes, on the device of its first tensor. It is no module itself: whoever
    keeps it as an attribute has no further parameters, writes none into files, and shares it with all copies. The file
    is read when it is first called.

    One in full::

        class Identity(FrozenNetwork):
            \"\"\"A face's identity as 128 numbers.\"\"\"

            files = ("identity.safetensors",)
            origin = "https://example.org/identity"

            def build(self, tensors):
                network = nn.Conv2d(3, 128, 8, 8)
                network.load_state_dict(tensors)
                return network

    Its docstring says what it is: the message for a file that is not there begins with it.
    """

    files: ClassVar[tuple[str, ...]]
    """The names that its file may have, the best first."""
    origin: ClassVar[str]
    """Where people get the file, for the message."""
    address: ClassVar[str | None] = None
    """From where the last of `files` may be downloaded; None where people have to fetch it themselves."""
    name: str = ""
    """What it is called; set by the host."""

    def __init__(self) -> None:
        self._modules: dict[tuple[str, Path | None], nn.Module] = {}
        self._digests: dict[Path | None, str] = {}

    @abstractmethod
    def build(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Return the network with its weights, on the CPU; the host freezes it and puts it into evaluation mode.

        Args:
            tensors: what the file holds, by name; what stands inside sections of a file has names with dots.

        Raises:
            KeyError, RuntimeError, ValueError: when they are not this network's, which the host tells with the file.
        """

    def stored(self) -> tuple[Mapping[str, Tensor], Path]:
        """Return what the file holds, and which file it is: the first of `files` in the weights folder, in torch's
        cache or, where there is an `address`, from there.

        Raises:
            UserError: when there is none, with the names and places that were looked at and what to do.
        """
        from metai2i.losses.backbone_weights import stored_weights

        return stored_weights(self.called, self.files, self.address, self.origin)

    @property
    def called(self) -> str:
        """Return its name and what it is, for messages."""
        said = (type(self).__doc__ or "").strip().partition("\n\n")[0]
        what = " ".join(said.split()).rstrip(".")
        return f"{self.name!r} ({what})" if what else repr(self.name)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Return what the network gives, computed where the first tensor lies."""
        tensors = (each for each in (*inputs, *named.values()) if isinstance(each, Tensor))
        device = next((each.device for each in tensors), torch.device("cpu"))
        return self.on(device)(*inputs, **named)

    def on(self, device: torch.device | str) -> nn.Module:
        """Return the frozen module on a device; made once per process, and shared.

        Raises:
            UserError: when its file is not there, cannot be read, or holds something else.
        """
        from metai2i.losses.backbone_weights import weights_folder

        key = (str(torch.device(device)), weights_folder())
        if key not in self._modules:
            self._modules[key] = self._loaded().to(device)
        return self._modules[key]

    def digest(self) -> str:
        """Return a hash of the weights in use.

        Raises:
            UserError: as `on`.
        """
        from metai2i.losses.backbone_weights import weights_folder

        folder = weights_folder()
        if folder not in self._digests:
            self._digests[folder] = self._digest()[:16]
        return self._digests[folder]

    def _digest(self) -> str:
        from metai2i.training.checkpoint import digest

        return digest(self.on("cpu"))

    def _loaded(self) -> nn.Module:
        """Return a frozen module on the CPU. Whenever that is, no draw and no mode of the caller's matters to it."""
        tensors, file = self.stored()
        with Randomness(("network", self.name)).scope(), torch.inference_mode(False), torch.no_grad():
            try:
                module: Any = self.build(tensors)
            except (KeyError, AttributeError, RuntimeError, ValueError, IndexError) as error:
                missing = isinstance(error, KeyError) and error.args
                why = f"it has no {error.args[0]!r}" if missing else " ".join(str(error).split())[:300]
                hint = f"{' or '.join(self.files)} is from {self.origin}"
                raise UserError(
                    f"not the weights of the network {self.called}: {why}", where=file, hint=hint
                ) from error
        if not isinstance(module, nn.Module):
            raise UserError(f"build of {type(self).__name__} gives {type(module).__name__}, expected an nn.Module")
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if tensor.is_meta or (tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())):
                what = "is not set by its file" if tensor.is_meta else "has NaN or infinite values"
                raise UserError(f"not the weights of the network {self.called}: {name} {what}", where=file)
        return module.eval().requires_grad_(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenNetwork:
        return self

    def __copy__(self) -> FrozenNetwork:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        from metai2i.losses.networks import shared_network

        return shared_network, (type(self), self.name)
