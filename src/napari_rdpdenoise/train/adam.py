"""Adam (Kingma and Ba, 2015) by torch's own function, without the machinery of ``torch.optim.Optimizer``.

The first step of an optimizer of torch imports torch's compiler: two seconds and 70,000 objects more, over
which Python's collector then goes, during which no other thread of Python runs. A window stands still for
half a second, twice. The numbers here are torch's, to the last bit, and what torch's optimizer has kept of a
training is taken up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

__all__ = ["Adam"]

_KEPT = ("exp_avg", "exp_avg_sq")


class Adam:
    """Takes the place of ``torch.optim.Adam`` with its usual settings.

    Args:
        parameters: What learns; those without a gradient are left out of a step.
        lr: Learning rate.
        betas: Decay of the means of gradients, and of their squares, from step to step.
        eps: Added to the root of the mean square.

    Attributes:
        param_groups: One group, a dict with the settings; ``lr`` may be changed between steps.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self._parameters = list(parameters)
        self._state: dict[int, dict[str, Tensor]] = {}  # by the number of the parameter
        self.param_groups: list[dict[str, Any]] = [{"lr": lr, "betas": betas, "eps": eps}]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter against its gradient."""
        (group,) = self.param_groups
        moved = [(number, p) for number, p in enumerate(self._parameters) if p.grad is not None]
        if not moved:
            return
        states = [self._of(number) for number, _ in moved]
        adam(
            [parameter for _, parameter in moved],
            [parameter.grad for _, parameter in moved if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """What is kept to go on later, in the form of ``torch.optim.Adam``."""
        numbers = list(range(len(self._parameters)))
        return {"state": self._state, "param_groups": [{**self.param_groups[0], "params": numbers}]}

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        """Go on from what was kept, by this class or by torch's.

        Raises:
            ValueError: If it is of another number of parameters.
        """
        (group,) = kept["param_groups"]
        if len(group["params"]) != len(self._parameters):
            raise ValueError(
                f"state: expected that of {len(self._parameters)} parameters, found "
                f"{len(group['params'])}; resume with the settings that it was made with"
            )
        self.param_groups = [{name: group[name] for name in ("lr", "betas", "eps")}]
        self._state = {}
        for number, state in kept["state"].items():
            like = self._parameters[number]
            means = {name: state[name].detach().to(like.device, like.dtype, copy=True) for name in _KEPT}
            self._state[number] = {"step": state["step"].detach().cpu().float().clone(), **means}

    def _of(self, number: int) -> dict[str, Tensor]:
        """What is known of a parameter; nothing at first."""
        if number not in self._state:
            like = self._parameters[number]
            means = {name: torch.zeros_like(like, memory_format=torch.preserve_format) for name in _KEPT}
            self._state[number] = {"step": torch.tensor(0.0), **means}
        return self._state[number]
