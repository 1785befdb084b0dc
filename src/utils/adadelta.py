"""The optimiser Adadelta in one pass over memory, for the CPU."""

from __future__ import annotations

import numba
import numpy as np
import torch


class FusedAdadelta(torch.optim.Adadelta):
    """PyTorch's Adadelta (Zeiler 2012), equal to rounding, reading and writing each value once.

    PyTorch has no fused Adadelta: each of its ten operations reads and writes the whole weight, so
    that a weight larger than the cache travels to memory and back ten times a step.
    """

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient; the same for any number of threads."""
        numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
        for group in self.param_groups:
            settings = [np.float32(group[name]) for name in ("lr", "rho", "eps")]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros(())
                    state["square_avg"] = torch.zeros_like(parameter)
                    state["acc_delta"] = torch.zeros_like(parameter)
                state["step"] += 1
                gradient = parameter.grad
                if gradient.stride() != parameter.stride():
                    gradient = torch.empty_like(parameter).copy_(gradient)
                tensors = parameter, gradient, state["square_avg"], state["acc_delta"]
                _update(*map(_in_memory_order, tensors), *settings)


def _in_memory_order(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().as_strided((tensor.numel(),), (1,)).numpy()


@numba.njit(parallel=True)
def _update(weight, gradient, square_avg, acc_delta, learning_rate, rho, epsilon):
    rest = np.float32(1) - rho
    for i in numba.prange(weight.size):
        slope = gradient[i]
        square = rho * square_avg[i] + rest * slope * slope
        delta = np.sqrt((acc_delta[i] + epsilon) / (square + epsilon)) * slope
        square_avg[i] = square
        acc_delta[i] = rho * acc_delta[i] + rest * delta * delta
        weight[i] -= learning_rate * delta
