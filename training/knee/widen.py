"""Take up an exported knee model in a network as wide or wider: the same answers, room to learn more.

    python -m training.knee.widen FILE OUT MAPS --channels 8 24 48 96 128 --to 16 32 64 128 160 --steps 21351

``--channels`` are those of FILE's network. OUT receives ``last.pt`` and ``log.jsonl`` for ``training.knee.train
--resume`` and ``training.knee.blend``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from training.knee import images, train
from training.knee.subjects import split
from training.unfold import unfold

WIDE = (16, 32, 64, 128, 160)
"""Channels of the stage of decision 0022."""

SLICES = 60
"""Drawn slices on which the norms are laid out and the answers compared."""

TOLERANCE = 1e-3
"""Largest difference of logits allowed between the narrow network and the wide one."""


def placed(narrow: torch.Tensor, wide: torch.Tensor) -> torch.Tensor:
    """``wide`` with ``narrow`` in its first places; old outputs do not listen to new inputs."""
    out = wide.clone()
    if narrow.ndim:
        if narrow.ndim > 1:
            out[: narrow.shape[0]] = 0
        out[tuple(slice(0, n) for n in narrow.shape)] = narrow
    return out


def widened(exported: Path, channels: Sequence[int], to: Sequence[int], batch: torch.Tensor) -> dict[str, torch.Tensor]:
    """State of a wide ``train.Net`` that answers as the exported file.

    Args:
        exported: ONNX file. channels: of its network. to: of the wide one.
        batch: (n, 1, h, w) slices as the model sees them.

    Raises:
        ValueError: the file holds another network, or the answers differ.
    """
    wide, narrow = train.Net(to), train.Net(channels)
    state, old = wide.state_dict(), unfold(exported, narrow, batch)
    wide.load_state_dict({k: placed(old[k], v) for k, v in state.items()})
    wide.eval(), narrow.eval()
    with torch.no_grad():
        if float((wide(batch) - narrow(batch)).abs().max()) > TOLERANCE:
            raise ValueError(f"{exported.name} answers differently in the wide network")
    return wide.state_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="ONNX")
    parser.add_argument("out", type=Path)
    parser.add_argument("maps", type=Path)
    parser.add_argument("--channels", type=int, nargs=5, default=train.CHANNELS, help="of FILE")
    parser.add_argument("--to", type=int, nargs=5, default=WIDE)
    parser.add_argument("--steps", type=int, default=0, help="that made FILE")
    args = parser.parse_args()
    torch.manual_seed(0)
    rng, maps = np.random.default_rng(0), images.open_maps(args.maps)
    batch = torch.from_numpy(np.stack([images.draw(maps, rng).image[None] for _ in range(SLICES)]))
    net = train.Net.of(widened(args.file, args.channels, args.to, batch))
    args.out.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), args.out / "last.pt")
    train.export(net, args.out / "knee.onnx")
    record = {"step": args.steps, **train.evaluate(net, args.maps, split(args.maps)[1])}
    (args.out / "log.jsonl").write_text(json.dumps(record) + "\n")
    print(record)


if __name__ == "__main__":
    main()
