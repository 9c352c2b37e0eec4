"""Per-episode policy gradients on a frozen batch, summed up as the statistics of their noise need them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from affine_trainer.stats import GradientSums

Gradient = list[Tensor]


def gradient_sums(
    losses_of: Callable[[int], Sequence[Tensor | None]],
    parameters: Sequence[Tensor],
    tasks: Sequence[int],
    advance: Callable[[], None] = lambda: None,
) -> list[GradientSums]:
    """The sums of each of E losses, whose gradients are taken episode by episode.

    `losses_of(i)` runs episode i once and gives its E losses, scalars on one graph; None stands for a
    gradient of 0. `tasks` numbers the task of each episode; those of a task stand together. Every episode is
    run twice, the second time for the products with the sum of all: no more than two gradients a loss are
    held, however many episodes there are. `advance` is called after each run.
    """
    order = list(dict.fromkeys(tasks))
    if [task for place, task in enumerate(tasks) if place == 0 or tasks[place - 1] != task] != order:
        raise ValueError("the episodes of a task must stand together")
    places = [order.index(task) for task in tasks]
    sizes = np.bincount(places).astype(float)
    totals: list[_Sum] = []
    for episode, place in enumerate(places):
        for number, gradient in enumerate(_gradients(losses_of(episode), parameters)):
            if number == len(totals):
                totals.append(_Sum(len(order)))
            if gradient is not None:
                totals[number].add(place, gradient)
        advance()
    for total in totals:
        total.close_task()
    for episode, place in enumerate(places):
        for total, gradient in zip(totals, _gradients(losses_of(episode), parameters), strict=True):
            if gradient is not None and total.whole is not None:
                total.dots[place] += _dot(gradient, total.whole)
        advance()
    return [GradientSums(sizes, total.squares, total.task_squares, total.dots) for total in totals]


class _Sum:
    """The running sums of one loss; `whole` is the sum of all gradients so far."""

    def __init__(self, num_tasks: int) -> None:
        self.squares, self.task_squares, self.dots = (np.zeros(num_tasks) for _ in range(3))
        self.whole: Gradient | None = None
        self._task: tuple[int, Gradient] | None = None

    def add(self, task: int, gradient: Gradient) -> None:
        self.squares[task] += _dot(gradient, gradient)
        if self._task is not None and self._task[0] == task:
            _add(self._task[1], gradient)
            return
        self.close_task()
        self._task = task, gradient

    def close_task(self) -> None:
        if self._task is None:
            return
        task, gradient = self._task
        self.task_squares[task] = _dot(gradient, gradient)
        if self.whole is None:
            self.whole = gradient
        else:
            _add(self.whole, gradient)
        self._task = None


def _gradients(losses: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> list[Gradient | None]:
    wanted = [place for place, loss in enumerate(losses) if loss is not None]
    found: list[Gradient | None] = [None] * len(losses)
    for place in wanted:
        loss = losses[place]
        assert loss is not None
        found[place] = list(
            torch.autograd.grad(
                loss, parameters, retain_graph=place != wanted[-1], allow_unused=True, materialize_grads=True
            )
        )
    return found


def _add(to: Gradient, gradient: Gradient) -> None:
    for mine, other in zip(to, gradient, strict=True):
        mine += other


def _dot(one: Gradient, other: Gradient) -> float:
    products = [
        torch.dot(a.flatten().double(), b.flatten().double()) for a, b in zip(one, other, strict=True)
    ]
    return float(torch.stack(products).sum())
