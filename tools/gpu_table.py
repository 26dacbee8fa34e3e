"""The one table at the end of tools/gpu_check.sh.

    python tools/gpu_table.py FOLDER

Exit status 1 where a stage failed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: Path) -> int:
    states = {file.stem: file.read_text("utf-8").split() for file in folder.glob("*.state")}
    rows = [(f"stage {name}", f"{state} ({seconds} s)") for name, (state, seconds) in sorted(states.items())]
    bench, frames, compare, fit = (read(folder / f"{name}.json") for name in ("bench", "frames", "compare", "fit"))
    for name, backends in (bench.get("ops") or {}).items():
        for figures in backends.values():
            share = figures.get("share_of_ceiling")
            text = f"{figures['m_samples_s']:.1f} M/s" + ("" if share is None else f", {100 * share:.0f} % of the ceiling")
            rows.append((name, text))
    if bench.get("train_step_ms") is not None:
        rows.append(("training step", f"{bench['train_step_ms']:.1f} ms"))
    frame = frames.get("frame") or {}
    if frame:
        rows.append(("frame 512 x 512", f"{frame['fps']:.0f} frames/s, {frame['ms_p50']:.2f} ms (p95 {frame['ms_p95']:.2f})"))
    rows += [(name.replace("_", " "), f"{value:.4g}") for name, value in compare.items()]
    if fit:
        rows.append(("fit", f"{fit['steps']} steps in {fit['minutes']:.1f} minutes, held out {fit.get('held_out')}"))
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {text}" for name, text in rows))
    return int(any(state != "ok" for state, _ in states.values()))


def read(file: Path) -> dict:
    """A stage's figures; none where it failed."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
