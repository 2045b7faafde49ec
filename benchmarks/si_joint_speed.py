"""Region and lesion inference of one sacroiliac exam against three 0.45 M-parameter 2-D U-Nets in torch.

``python -m benchmarks si_joint_speed CASE_FOLDER [--rounds 3]`` (needs torch; random weights serve for time). Both
sides take the same slices on the same cores, in turns; the medians of wall and processor seconds are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def yardstick(width: int = 16) -> Any:
    """A plain U-Net of four levels, 3 channels in, 1 out: 0.48 M parameters at width 16."""
    import torch
    from torch import nn

    def block(i: int, o: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(),
            nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(),
        )  # fmt: skip

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            w = [width, 2 * width, 4 * width, 8 * width]
            self.down = nn.ModuleList([block(3, w[0]), *(block(w[i], w[i + 1]) for i in range(3))])
            self.up = nn.ModuleList(nn.ConvTranspose2d(w[i + 1], w[i], 2, 2) for i in range(3))
            self.merge = nn.ModuleList(block(2 * w[i], w[i]) for i in range(3))
            self.head = nn.Conv2d(w[0], 1, 1)

        def forward(self, x: Any) -> Any:
            kept = []
            for n, part in enumerate(self.down):
                x = part(x if n == 0 else nn.functional.max_pool2d(x, 2))
                kept.append(x)
            for n in reversed(range(3)):
                x = self.merge[n](torch.cat([kept[n], self.up[n](x)], 1))
            return self.head(x)

    return UNet().eval()


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds of one run."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print medians and the ratio as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks si_joint_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("case", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    import torch

    from marrowscope.anatomy.si_joint import segment
    from marrowscope.assessment.pipeline import prepare
    from marrowscope.inference.session import thread_count
    from marrowscope.lesion.si_joint import probabilities
    from marrowscope.validation.si_cases import load_case

    torch.set_num_threads(thread_count())
    exam = prepare(load_case(given.case).study(), "si_joint")
    nets = [yardstick() for _ in range(3)]
    count, (wide, high) = exam.image.shape[2], (-(-n // 16) * 16 for n in exam.image.shape[:2])
    slices = torch.rand(count, 3, wide, high)

    def theirs() -> None:
        with torch.inference_mode():
            for net in nets:
                for k in range(0, count, 5):
                    net(slices[k : k + 5])

    def ours() -> None:
        probabilities(exam, segment(exam))

    ours(), theirs()
    rounds = [(timed(ours), timed(theirs)) for _ in range(given.rounds)]
    median = [[statistics.median(r[side][kind] for r in rounds) for kind in (0, 1)] for side in (0, 1)]
    result = {
        "parameters_of_one_unet": sum(p.numel() for p in nets[0].parameters()),
        "slices": count,
        "ours_wall_s, cpu_s": [round(v, 2) for v in median[0]],
        "three_unets_wall_s, cpu_s": [round(v, 2) for v in median[1]],
        "times_faster_wall, cpu": [round(median[1][k] / median[0][k], 2) for k in (0, 1)],
    }
    print(json.dumps(result, indent=2))
    return 0
