"""The optimiser of fits."""
from __future__ import annotations

import torch

from .. import ops


class FieldAdam(torch.optim.Adam):
    """Adam that, in groups with `tables` true, leaves alone what is at rest (`ops.adam_step`).

    Many rows of a grid's tables lie where no sample ever is. Values, state and checkpoints are those of
    `torch.optim.Adam`.
    """

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            if group["tables"]:
                for value in group["params"]:
                    if value.grad is not None:
                        self._step_table(value, group)
                        value.grad = None  # done: nothing is left for the dense step below
        super().step()

    def _step_table(self, value: torch.nn.Parameter, group: dict) -> None:
        state = self.state[value]
        if not state:
            state["step"] = torch.zeros((), device=value.device if group["fused"] else "cpu")
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(value), torch.zeros_like(value)
        state["step"] += 1
        ops.adam_step(
            value, value.grad, state["exp_avg"], state["exp_avg_sq"], int(state["step"]), group["lr"], group["betas"],
            group["eps"],
        )
