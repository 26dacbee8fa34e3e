"""The results for people."""
from __future__ import annotations

from typing import Any

from .run import REFERENCE

BUSY = 0.75  # share of the processor below which other programs spoil the figures


def print_table(result: dict[str, Any]) -> None:
    """Print what `bench` measured on standard output."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    # Wide enough, whatever the terminal: a cut number is worse than a wrapped line.
    console.width = max(console.width, 120)
    machine, ceiling = result["machine"], result["ceiling"]
    half = ceiling["bf16_gflops"]
    console.print(f"{machine['device']}, {machine['threads']} threads", markup=False)
    console.print(
        f"at best: {ceiling['fp32_gflops']:.0f} GFLOP/s in float32, "
        f"{f'{half:.0f} in bfloat16' if half else 'no bfloat16'}, copying {ceiling['copy_gb_s']:.1f} GB/s, "
        f"{ceiling['gather_m_s']:,.0f} M random reads/s\n"
    )
    share = machine["processor_share"]
    if share is not None and share < BUSY:
        console.print(
            f"Other programs are running: geneface had {100 * share:.0f} % of the processor. The figures are too low.\n"
        )
    if result["ops"]:
        console.print(_ops(result["ops"]))
        console.print(
            "\nbound: what limits the op at best, and how near it comes; x reference: against plain PyTorch here\n"
        )
    step = result["train_step"]
    if step is not None:
        against = f"; {step['ratio_to_reference']:.1f} x reference" if step["ratio_to_reference"] else ""
        console.print(
            f"training step  {step['ms_p50']:.1f} ms (best {step['ms_best']:.1f}), {step['rays']:,} rays, "
            f"{step['samples']:,} samples{against}"
        )
    for name, figures in (result.get("motion") or {}).items():
        if isinstance(figures, dict):
            console.print(f"{name.replace('_', ' '):<14} {figures['ms_p50']:.1f} ms (best {figures['ms']:.1f}), "
                          f"{_short(figures['real_time_factor'])} x real time")
        elif figures is not None:
            console.print(f"stream latency {figures:.0f} ms")
    frame = result["frame"]
    if frame is not None:
        head = frame["head"]
        console.print(
            f"frame          {frame['ms_p50']:.1f} ms, 95 % within {frame['ms_p95']:.1f} ms, {frame['fps']:.1f} frames/s "
            f"at {frame['width']}x{frame['height']}\n"
            f"  head alone   {head['ms_bf16']:.1f} ms in bfloat16, {head['ms_fp32']:.1f} in float32, {head['pixels']:,} pixels"
        )
        if head["ms_reference"] is not None:
            console.print(
                f"  reference    {head['ms_reference']:,.0f} ms at half the size, {_short(head['ratio_to_reference'])} times "
                f"float32's; float32 is off by {head['difference']:.4f} %, bfloat16 by {_short(head['psnr_bf16'] or 0)} dB"
            )


def _ops(rows: dict[str, dict[str, dict[str, Any]]]):
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("op", "kernels", "M/s", "GFLOP/s", "GB/s", "M reads/s", "bound", "%", "x reference"):
        table.add_column(title, justify="left" if title in ("op", "kernels", "bound") else "right", no_wrap=True)
    for name, backends in rows.items():
        for backend, figures in backends.items():
            if backend == REFERENCE:
                continue
            ratio = figures["ratio_to_reference"]
            table.add_row(
                name, backend, _short(figures["m_samples_s"]), _short(figures["gflops"]), _short(figures["gb_s"]),
                _short(figures["m_reads_s"]), figures["limit"], f"{100 * figures['share_of_ceiling']:.0f}",
                "" if ratio is None else _short(ratio),
            )
            name = ""
    return table


def _short(value: float) -> str:
    """Three digits, nothing where there is nothing to count."""
    if value == 0:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
