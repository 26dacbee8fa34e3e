"""Make the head start that ships with the package: what heads of several people have in common.

    python tools/train_release_start.py PERSON... [--steps 300]

Each PERSON is a folder that `geneface prepare` wrote, all of one picture size. People take turns, step by step: each
has a face, head poses, a torso and a schedule of their own, and all move and are coloured by the same networks. Writes
`geneface/data/head_start.safetensors` and a line for its card.
"""
from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import geneface  # noqa: E402, F401  before torch: its threads must sleep
import numpy as np  # noqa: E402
import torch  # noqa: E402

from geneface import ops  # noqa: E402
from geneface.config import FitConfig  # noqa: E402
from geneface.errors import UserError  # noqa: E402
from geneface.fit.avatar import driving_of, new_trainer  # noqa: E402
from geneface.fit.setup import training_frames  # noqa: E402
from geneface.fit.start import RELEASE, SHARED, HeadStart  # noqa: E402
from geneface.fit.trainer import Trainer  # noqa: E402
from geneface.nerf.condition import LEAST_DEVIATION_M  # noqa: E402
from geneface.types import PreparedPerson, write_atomically  # noqa: E402

# Of head space [m]: holds the heads of all whose hair is not long. Of those, a head's box is grown (`HeadStart.begin`).
BOX = (-0.125, -0.185, -0.142, 0.125, 0.140, 0.110)
CARD = """# Head start

`head_start.safetensors` ({size:.2f} MB, sha256 `{sha}`):
what the head fields of several people have in common.

**What it is.** Values at which `geneface fit` begins instead of at random: the grid and the network that move points
of a face to where they are at rest, the encoder of landmarks, the networks that turn features into density and colour,
and the deviations of landmarks. No face is in it: the grid that holds a person's face starts at random.

**Trained on** {people} people, {seconds:.0f} s of video in all:
{names} of the
GRID corpus, a talker each. Each had a face grid, head poses, torso and
schedule of their own; they took turns for {steps} steps each of `FitConfig`'s defaults without the perceptual loss,
seed {seed}.

**Licence and citation.** This package's MIT licence; the corpus is believed to be under CC BY 4.0. Cite: M. Cooke,
J. Barker, S. Cunningham, X. Shao, "An audio-visual corpus for speech perception and automatic speech recognition",
Journal of the Acoustical Society of America 120(5), 2421-2424, 2006.

**Limits.** Few people, filmed from the front under studio light, who speak six-word commands for three seconds each.
Heads in a box of {box} m only; of one that needs more
room, say for long hair, the grid is stretched with the box.
What it gains is in BENCHMARKS.md.

**Made with** `python tools/train_release_start.py PERSON... --steps {steps} --seed {seed}`.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("people", type=Path, nargs="+", help="prepared people of one picture size")
    parser.add_argument("--steps", type=int, default=300, help="of each person")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RELEASE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ops.set_threads(1)
    try:
        people = [PreparedPerson.open(path) for path in arguments.people]
        learn(people, arguments.steps, arguments.seed).save(arguments.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    content = arguments.out.read_bytes()
    card = CARD.format(
        size=len(content) / 1e6, sha=hashlib.sha256(content).hexdigest(), people=len(people), box=BOX,
        seconds=sum(len(person.train_frames) / person.fps for person in people), steps=arguments.steps,
        names=", ".join(person.source for person in people), seed=arguments.seed,
    )
    beside = arguments.out.with_name(f"{arguments.out.stem}_card.md")
    write_atomically(beside, lambda part: part.write_text(card, "utf-8"))
    return 0


def learn(people: Sequence[PreparedPerson], steps: int, seed: int) -> HeadStart:
    """Fit all people at once, `steps` each, with common parts; return these.

    Raises:
        UserError: people of different picture sizes, whose grids would differ.
    """
    sizes = {person.size for person in people}
    if len(sizes) > 1:
        raise UserError(f"people: pictures of sizes {sorted(sizes)}; prepare all with the same --size")
    torch.manual_seed(seed)
    config = FitConfig(steps=steps, minutes=1e6, perceptual=0.0, threads=1, seed=seed)
    driven = [driving_of(person) for person in people]
    frames = [training_frames(person) for person in people]
    variances = [motion.driving[used].reshape(len(used), -1).var(0) for (motion, _), used in zip(driven, frames)]
    deviation = torch.from_numpy(np.sqrt(np.mean(variances, axis=0))).float().clamp(min=LEAST_DEVIATION_M)
    common = HeadStart(torch.tensor(BOX), deviation, {})
    trainers = [
        new_trainer(person, motion, used, band, config, torch.device("cpu"), common)
        for person, (motion, band), used in zip(people, driven, frames)
    ]
    order, last = np.random.default_rng(seed), trainers[0]
    for step in range(1, steps + 1):
        colour = []
        for turn in order.permutation(len(trainers)):
            pass_on(last, trainers[turn])
            last = trainers[turn]
            colour.append(last.step()["colour"])
        if step % 50 == 0:
            print(f"step {step} of {steps}: {-10 * np.log10(np.mean(colour)):.2f} dB", flush=True)
    averages = [trainer.average for trainer in trainers]
    tensors = {name: torch.stack([one[f"head.{name}"] for one in averages]).mean(0) for name in shared(last)}
    return HeadStart(common.box, deviation, tensors)


def shared(trainer: Trainer) -> dict[str, torch.Tensor]:
    """A head's shared parameters by name."""
    return {name: value for name, value in trainer.portrait.head.named_parameters() if name.startswith(SHARED)}


@torch.no_grad()
def pass_on(giver: Trainer, taker: Trainer) -> None:
    """Copy the shared parameters."""
    for mine, yours in zip(shared(giver).values(), shared(taker).values()):
        yours.copy_(mine)


if __name__ == "__main__":
    sys.exit(main())
