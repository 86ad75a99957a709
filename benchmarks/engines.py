"""How long a meta-gradient takes and how much memory it needs: our engines, the peers' libraries, and plain training.

    python benchmarks/engines.py --quick
    python benchmarks/engines.py --json engines.json

One episode of Pix2pix (U-Net, instance norm, PatchGAN) at 128x128 on noise: 5 support pairs, K inner steps of SGD (the
discriminator moves, then the generator), 5 query pairs, one gradient for each player. `floor` is plain training: the
same number of forward and backward passes with `torch.optim.SGD`, the generator's backward pass reaching the
discriminator's weights too, as it does wherever nobody prevents it. `gradient` compares the gradients' norms.
"""

from __future__ import annotations

import argparse
import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from common import interleaved, measure, report
from torch import Tensor, nn

from metai2i import Adaptation, Batch, Objective, Step, TaskSpec
from metai2i.meta.clones import learn2learn_utils
from metai2i.meta.engines.adjoint import Adjoint
from metai2i.meta.engines.engine import Engine
from metai2i.meta.engines.inplace import InPlace
from metai2i.meta.engines.learn2learn import Learn2Learn
from metai2i.training.driving import drive

PAIRS, CLASSES, SIZE, LR = 5, 10, (128, 128), 1e-3

Networks = Mapping[str, Callable[..., Tensor]]
Moves = Iterator[tuple[str, Tensor]]


class Work:
    """A general model and an episode, and its moves without a framework, for the peers.

    Args:
        width: of both networks.
    """

    def __init__(self, width: int) -> None:
        from metai2i_pix2pix import Pix2pix

        learn2learn_utils()  # what learn2learn imports must not count as anybody's memory
        torch.manual_seed(0)
        self.objective = Objective(l1=10.0, adversarial=1.0, perceptual=0.0)
        spec = TaskSpec(structure_channels=CLASSES, size=SIZE)
        self.gp = Pix2pix(spec=spec, objective=self.objective, width=width)
        self.support, self.query = self._pairs(), self._pairs()
        self.networks: dict[str, nn.Module] = {
            "discriminator": self.gp.discriminator,
            "generator": self.gp.generator,
        }

    @staticmethod
    def _pairs() -> Batch:
        ids = torch.randint(CLASSES, (PAIRS, *SIZE))
        one_hot = nn.functional.one_hot(ids, CLASSES).permute(0, 3, 1, 2).float().contiguous()
        return Batch(structure=one_hot, target=torch.rand(PAIRS, 3, *SIZE) * 2 - 1)

    def moves(self, networks: Networks, batch: Batch) -> Moves:
        """Yield the moves of one training step of Pix2pix by any generator and discriminator."""
        fake = networks["generator"](batch["structure"])

        def judged(images: Tensor) -> Tensor:
            return networks["discriminator"](torch.cat([batch["structure"], images], 1))

        terms = self.objective.discriminator(judged(batch["target"]), judged(fake.detach()))
        yield "discriminator", self.gp.d_scale * sum(terms.values())
        yield "generator", sum(self.objective.generator(fake, batch["target"], judged(fake)).values())

    def collect(self, networks: Networks, origin: Mapping[str, list[Tensor]], *, retain: bool) -> float:
        """Compute the query's gradient for each player with respect to `origin`; return its norm."""
        grads: list[Tensor] = []
        for player, loss in self.moves(networks, self.query):
            grads += torch.autograd.grad(loss, origin[player], retain_graph=retain)
        return norm(grads)


def norm(gradients: list[Tensor]) -> float:
    """Return the norm of all gradients together."""
    return float(torch.stack(torch._foreach_norm(gradients)).norm())


def weights(networks: Mapping[str, nn.Module]) -> dict[str, list[Tensor]]:
    """Return the weights by network."""
    return {name: list(network.parameters()) for name, network in networks.items()}


def floor(*, width: int, steps: int, order: str) -> Callable[[], float]:
    """Time plain training of a copy."""
    work = Work(width)
    networks = copy.deepcopy(work.networks)
    optimizers = {name: torch.optim.SGD(network.parameters(), lr=LR) for name, network in networks.items()}

    def run() -> float:
        for batch in [*[work.support] * steps, work.query]:
            for player, loss in work.moves(networks, batch):
                optimizers[player].zero_grad()
                loss.backward()
                if batch is work.support:
                    optimizers[player].step()
        return norm([p.grad for network in networks.values() for p in network.parameters() if p.grad is not None])

    return run


def ours(*, width: int, steps: int, order: str, engine: str) -> Callable[[], float]:
    """Time one of our engines ("adjoint/disk" keeps on disk)."""
    work, inner = Work(width), Adaptation(iterations=steps, optimizer="sgd", lr=LR, batch=PAIRS)
    name, _, keep = engine.partition("/")
    engines: dict[str, Callable[[], Engine]] = {
        "learn2learn": lambda: Learn2Learn(order),  # type: ignore[arg-type]
        "inplace": InPlace,
        "adjoint": lambda: Adjoint(keep or "all"),  # type: ignore[arg-type]
    }
    chosen = engines[name]()

    def run() -> float:
        work.gp.zero_grad(set_to_none=True)
        judge = lambda adapted, collect: drive(adapted, work.query, Step(), collect)  # noqa: E731
        chosen.meta_gradient(work.gp, work.support, judge, inner, Step())
        return norm([p.grad for p in work.gp.parameters() if p.grad is not None])

    return run


def plain_learn2learn(*, width: int, steps: int, order: str) -> Callable[[], float]:
    """Time `clone_module`, `autograd.grad` and `update_module`, as learn2learn's manual shows them."""
    work, library = Work(width), learn2learn_utils()

    def run() -> float:
        clones = {name: library.clone_module(network) for name, network in work.networks.items()}
        for _ in range(steps):
            for player, loss in work.moves(clones, work.support):
                parameters = list(clones[player].parameters())
                grads = torch.autograd.grad(loss, parameters, create_graph=order == "second")
                library.update_module(clones[player], updates=[-LR * g for g in grads])
        return work.collect(clones, weights(work.networks), retain=True)

    return run


def higher(*, width: int, steps: int, order: str) -> Callable[[], float]:
    """Time higher's patched networks and differentiable SGD."""
    import higher as library

    work, second = Work(width), order == "second"

    def run() -> float:
        patched, optimizers = {}, {}
        for name, network in work.networks.items():
            sgd = torch.optim.SGD(network.parameters(), lr=LR)
            patched[name] = library.patch.monkeypatch(network, copy_initial_weights=False, track_higher_grads=second)
            optimizers[name] = library.optim.get_diff_optim(
                sgd, network.parameters(), patched[name], track_higher_grads=second
            )
        for _ in range(steps):
            for player, loss in work.moves(patched, work.support):
                optimizers[player].step(loss)
        origin = weights(work.networks) if second else weights(patched)
        return work.collect(patched, origin, retain=second)

    return run


def torchopt(*, width: int, steps: int, order: str) -> Callable[[], float]:
    """Time torchopt's `MetaSGD`, and in first order its `SGD` on a copy."""
    import torchopt as library

    work = Work(width)

    def first() -> float:
        networks = copy.deepcopy(work.networks)
        optimizers = {name: library.SGD(network.parameters(), lr=LR) for name, network in networks.items()}
        for _ in range(steps):
            for player, loss in work.moves(networks, work.support):
                optimizers[player].zero_grad()
                loss.backward(inputs=list(networks[player].parameters()))
                optimizers[player].step()
        return work.collect(networks, weights(networks), retain=False)

    def second() -> float:
        origin = weights(work.networks)
        states = {name: library.extract_state_dict(network) for name, network in work.networks.items()}
        optimizers = {name: library.MetaSGD(network, lr=LR) for name, network in work.networks.items()}
        for _ in range(steps):
            for player, loss in work.moves(work.networks, work.support):
                optimizers[player].step(loss)
        grads = work.collect(work.networks, origin, retain=True)
        for name, network in work.networks.items():
            library.recover_state_dict(network, states[name])
        return grads

    return first if order == "first" else second


def cases(order: str) -> dict[str, tuple[Callable[..., Callable[[], object]], dict[str, Any]]]:
    """Return all that can be measured for an order, by name."""
    engines = (
        ["inplace", "learn2learn"] if order == "first" else ["adjoint", "adjoint/sqrt", "adjoint/disk", "learn2learn"]
    )
    peers = {"learn2learn, plain loop": plain_learn2learn, "higher": higher, "torchopt": torchopt}
    return {
        "floor": (floor, {}),
        **{f"ours: {name}": (ours, {"engine": name}) for name in engines},
        **{name: (case, {}) for name, case in peers.items() if find_spec(name.split(",")[0])},
    }


def compare(
    order: str, width: int, steps: int, arguments: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of one setting, and what is to be said of cases that failed."""
    settings = {"repeats": arguments.repeats, "warm": arguments.warm, "width": width, "steps": steps, "order": order}
    chosen = {
        name: partial(measure, case, **settings, **more)
        for name, (case, more) in cases(order).items()
        if not arguments.only or any(word in name for word in arguments.only)
    }
    measured, failed = interleaved(chosen, arguments.rounds)
    base, peer = measured.get("floor"), measured.get("learn2learn, plain loop")
    rows = []
    for name, timing in measured.items():
        rows.append(
            {
                "order": order,
                "width": width,
                "K": steps,
                "engine": name,
                "seconds": timing.seconds,
                "time / floor": timing.seconds / base.seconds if base else None,
                "time / learn2learn": timing.seconds / peer.seconds if peer else None,
                "peak MiB": timing.peak,
                "peak / learn2learn": timing.peak / peer.peak if peer else None,
                "gradient": timing.value / peer.value - 1 if peer and name != "floor" else None,
            }
        )
    return rows, [f"{order} order, width {width}, K = {steps}: {name} failed: {why}" for name, why in failed.items()]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="width 16, K = 1 and 5, each case once")
    parser.add_argument("--json", type=Path, help="also write the table there")
    parser.add_argument("--widths", type=int, nargs="+", help="16 and 64")
    parser.add_argument("--steps", type=int, nargs="+", help="1, 5 and 20")
    parser.add_argument("--orders", nargs="+", choices=("first", "second"), default=["first", "second"])
    parser.add_argument("--only", nargs="+", help="words, one of which is in the names of the cases to measure")
    parser.add_argument("--rounds", type=int, help="fresh processes for each case, in turns; their median counts")
    parser.add_argument("--warm", type=int, default=1, help="repetitions before, not timed; their memory counts")
    parser.add_argument("--repeats", type=int, help="timed repetitions in a process; their median counts")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.repeats = arguments.repeats or (1 if arguments.quick else 3)
    widths = arguments.widths or ([16] if arguments.quick else [16, 64])
    steps = arguments.steps or ([1, 5] if arguments.quick else [1, 5, 20])
    rows, notes = [], [f"{name}: not installed" for name in ("higher", "torchopt") if not find_spec(name)]
    for order, width, count in itertools.product(arguments.orders, widths, steps):
        measured, failed = compare(order, width, count, arguments)
        rows, notes = rows + measured, notes + failed
    report("Meta-gradients: time, and peak memory over baseline", rows, arguments.json, notes=notes)


if __name__ == "__main__":
    main()
