"""Intervals of one result, against closed forms, published values and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta as beta_distribution
from scipy.stats import bootstrap as scipy_bootstrap

from affine_trainer.stats import bootstrap_interval, jeffreys_interval, macro_interval


@pytest.mark.parametrize(("successes", "trials", "level"), [(7, 20, 0.80), (1, 3, 0.95), (499, 1000, 0.99)])
def test_jeffreys_ends_are_quantiles_of_the_beta_posterior(successes, trials, level):
    interval = jeffreys_interval(successes, trials, level)
    posterior = beta_distribution(0.5 + successes, 0.5 + trials - successes)
    assert interval.lower == pytest.approx(posterior.ppf((1 - level) / 2), abs=1e-9)
    assert interval.upper == pytest.approx(posterior.isf((1 - level) / 2), abs=1e-9)
    assert posterior.cdf(interval.upper) - posterior.cdf(interval.lower) == pytest.approx(level, abs=1e-9)


def test_twenty_of_twenty_at_95_percent_starts_at_883_and_ends_at_1():
    interval = jeffreys_interval(20, 20, 0.95)
    assert interval.lower == pytest.approx(0.883, abs=5e-4)
    assert interval.upper == 1.0


def test_no_success_starts_at_0_and_mirrors_all_successes():
    none, every = jeffreys_interval(0, 20, 0.95), jeffreys_interval(20, 20, 0.95)
    assert none.lower == 0.0
    assert none.upper == pytest.approx(1 - every.lower, abs=1e-9)


def test_no_trials_say_nothing():
    assert jeffreys_interval(0, 0) == (0.0, 1.0)


def test_a_uniform_prior_has_the_closed_form_of_one_trial():
    interval = jeffreys_interval(1, 1, 0.80, alpha=1.0, beta=1.0)
    assert interval.lower == pytest.approx(math.sqrt(0.1), abs=1e-9)


@given(st.integers(1, 400), st.data())
def test_the_interval_holds_the_observed_share_and_grows_with_the_level(trials, data):
    successes = data.draw(st.integers(0, trials))
    narrow, wide = jeffreys_interval(successes, trials, 0.8), jeffreys_interval(successes, trials, 0.95)
    assert 0 <= wide.lower <= narrow.lower <= successes / trials <= narrow.upper <= wide.upper <= 1


@pytest.mark.parametrize("rate", [0.1, 0.35, 0.5, 0.8])
def test_the_80_percent_interval_covers_about_80_percent_of_the_time(rate):
    trials = 200
    drawn = np.random.default_rng(3).binomial(trials, rate, size=4000)
    intervals = {int(s): jeffreys_interval(int(s), trials, 0.80) for s in np.unique(drawn)}
    covered = np.mean([intervals[int(s)].lower <= rate <= intervals[int(s)].upper for s in drawn])
    assert 0.76 < covered < 0.84


@pytest.mark.parametrize(("successes", "trials"), [(3.5, 10), (np.float64(2), 10), (5, 4), (-1, 4)])
def test_only_counts_enter_a_beta_interval(successes, trials):
    with pytest.raises(ValueError, match="count"):
        jeffreys_interval(successes, trials)


@pytest.mark.parametrize("level", [0.0, 1.0, 80.0, float("nan")])
def test_a_level_outside_0_to_1_is_refused(level):
    with pytest.raises(ValueError, match="level"):
        jeffreys_interval(1, 2, level)


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.5), (0.5, -1.0)])
def test_a_prior_that_is_no_distribution_is_refused(alpha, beta):
    with pytest.raises(ValueError, match="prior"):
        jeffreys_interval(1, 2, 0.8, alpha, beta)


def test_the_bootstrap_agrees_with_scipy_on_fractional_scores():
    scores = np.random.default_rng(0).uniform(size=150) ** 2
    ours = bootstrap_interval(scores, 0.80, samples=20_000, seed=1)
    theirs = scipy_bootstrap(
        (scores,), np.mean, confidence_level=0.80, n_resamples=20_000, method="percentile", rng=2
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1.5e-3)


def test_the_bootstrap_of_counts_has_the_binomial_width():
    interval = bootstrap_interval([1.0] * 300 + [0.0] * 700, 0.80, samples=50_000)
    assert interval.upper - interval.lower == pytest.approx(
        2 * 1.2816 * math.sqrt(0.3 * 0.7 / 1000), rel=0.04
    )


def test_the_bootstrap_is_the_same_for_the_same_seed_and_ignores_order():
    values = list(np.random.default_rng(0).uniform(size=30))
    assert bootstrap_interval(values, seed=5) == bootstrap_interval(values[::-1], seed=5)
    assert bootstrap_interval(values, seed=5) != bootstrap_interval(values, seed=6)


def test_repeated_plays_of_a_task_do_not_narrow_the_interval():
    once = bootstrap_interval([0.0, 1.0] * 20, samples=20_000, seed=1)
    five_times = bootstrap_interval(
        [0.0, 1.0] * 100, tasks=[i % 40 for i in range(200)], samples=20_000, seed=1
    )
    careless = bootstrap_interval([0.0, 1.0] * 100, samples=20_000, seed=1)
    assert five_times == pytest.approx(once, abs=1e-12)
    assert careless.upper - careless.lower < 0.6 * (once.upper - once.lower)


def test_many_distinct_values_are_resampled_in_parts_without_a_seam():
    values = np.random.default_rng(2).normal(size=9000)
    interval = bootstrap_interval(values, 0.80, samples=1000)
    half_width = 1.2816 * values.std() / math.sqrt(9000)
    assert interval == pytest.approx((values.mean() - half_width, values.mean() + half_width), abs=2e-3)


@pytest.mark.parametrize("values", [[], [[1.0]], [1.0, float("nan")], [float("inf")]])
def test_the_bootstrap_refuses_what_has_no_mean(values):
    with pytest.raises(ValueError):
        bootstrap_interval(values)


def test_a_value_without_a_task_is_refused():
    with pytest.raises(ValueError, match="2 values but 1 task"):
        bootstrap_interval([0.0, 1.0], tasks=["a"])


def test_the_macro_interval_of_one_environment_is_its_posterior_interval():
    assert macro_interval([(30, 100)]) == pytest.approx(jeffreys_interval(30, 100), abs=1e-12)


def test_the_macro_interval_keeps_equal_weights_whatever_the_counts():
    interval = macro_interval([(900, 1000), (1, 10)])
    assert interval.lower < 0.5 < interval.upper


def test_a_macro_interval_holds_the_mean_also_where_little_was_played():
    """Draws from the posteriors did not: five environments of 0 in 4 tasks pulled them up."""
    counts = [(27, 40), (3, 40), (24, 40), *[(0, 4)] * 5]
    lower, upper = macro_interval(counts)
    assert lower < sum(s / n for s, n in counts) / 8 < upper
    below = [s / n - jeffreys_interval(s, n).lower for s, n in counts]
    assert lower == pytest.approx(sum(s / n for s, n in counts) / 8 - sum(d * d for d in below) ** 0.5 / 8)


def test_a_macro_interval_of_perfect_results_still_has_a_width():
    lower, upper = macro_interval([(20, 20), (20, 20)])
    assert lower < upper == 1.0
