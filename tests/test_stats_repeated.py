"""Several samples a task: pass@k against counting and against the binomial law, intervals by simulation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom

from affine_trainer.stats import (
    bootstrap_interval,
    clustered_interval,
    clustered_macro_interval,
    jeffreys_interval,
    pass_at_k,
    pass_rates,
)


@pytest.mark.parametrize("samples", range(1, 8))
def test_pass_at_k_is_the_share_of_subsets_that_hold_a_success(samples: int) -> None:
    for successes in range(samples + 1):
        outcomes = [True] * successes + [False] * (samples - successes)
        for k in range(1, samples + 1):
            subsets = [any(chosen) for chosen in combinations(outcomes, k)]
            assert pass_at_k(samples, successes, k) == pytest.approx(sum(subsets) / len(subsets), abs=1e-12)


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9])
def test_pass_at_k_is_unbiased(p: float) -> None:
    """Its expectation over c ~ Binomial(n, p) is 1 - (1 - p)^k."""
    for n, k in ((5, 1), (5, 5), (20, 7), (200, 100)):
        expected = sum(binom.pmf(c, n, p) * pass_at_k(n, c, k) for c in range(n + 1))
        assert expected == pytest.approx(1.0 - (1.0 - p) ** k, abs=1e-9)


@pytest.mark.parametrize(("samples", "successes", "k"), [(3, 1, 0), (3, 1, 4), (3, 4, 1), (3, -1, 1)])
def test_what_cannot_be_told_is_refused(samples: int, successes: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot be told"):
        pass_at_k(samples, successes, k)


def test_a_task_counts_for_every_k_up_to_its_own_samples() -> None:
    outcomes = {"a": [True, False, False], "b": [False, False], "c": [], "d": [True, True, True]}
    rates = pass_rates(outcomes)
    assert [(found.k, found.num_tasks) for found in rates] == [(1, 3), (2, 3), (3, 2)]
    assert [found.rate for found in rates] == pytest.approx([(1 / 3 + 1) / 3, (2 / 3 + 1) / 3, 1.0])
    assert all(found.interval.lower <= found.rate <= found.interval.upper for found in rates)
    assert pass_rates({"a": []}) == []


def test_values_of_one_task_enter_together() -> None:
    """Copies of a sample say nothing new: the interval is that of the tasks."""
    outcomes = [index % 3 == 0 for index in range(60)]
    tasks = list(range(60))
    copied = clustered_interval([o for o in outcomes for _ in range(8)], [t for t in tasks for _ in range(8)])
    assert copied == pytest.approx(bootstrap_interval(outcomes), abs=1e-12)


def test_without_any_spread_each_task_counts_once() -> None:
    assert clustered_interval([0.0] * 40, [i // 4 for i in range(40)]) == jeffreys_interval(0, 10)
    assert clustered_interval([1.0] * 40, [i // 4 for i in range(40)]) == jeffreys_interval(10, 10)
    level = clustered_macro_interval([([1.0] * 8, [0, 0, 1, 1, 2, 2, 3, 3]), ([0.0, 1.0] * 4, range(8))])
    assert 0.5 < level.lower < level.upper < 1.0


def test_intervals_by_task_cover_and_intervals_by_sample_do_not() -> None:
    """300 evaluations of 100 tasks with 8 samples each; the tasks' own rates are Beta(.5, .5)."""
    generator, truth = np.random.default_rng(3), 0.5
    tasks = [task for task in range(100) for _ in range(8)]
    by_task = by_sample = 0
    for seed in range(300):
        rates = generator.beta(0.5, 0.5, size=100)
        outcomes = (generator.random((100, 8)) < rates[:, None]).ravel()
        found = clustered_interval(outcomes.tolist(), tasks, samples=400, seed=seed)
        naive = jeffreys_interval(int(outcomes.sum()), outcomes.size)
        by_task += found.lower <= truth <= found.upper
        by_sample += naive.lower <= truth <= naive.upper
    assert 0.73 <= by_task / 300 <= 0.87  # .80, three standard errors of 300 trials
    assert by_sample / 300 < 0.6
