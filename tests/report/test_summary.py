"""The evaluation summary: the older files' names with their meaning, and what ours adds."""

import json

import numpy as np
import pytest

from affine_trainer.config import Config
from affine_trainer.errors import DataError
from affine_trainer.report.episodes import group_by_environment
from affine_trainer.report.summary import summarise
from affine_trainer.stats import bootstrap_interval, jeffreys_interval
from tests.evaluations import episode, episodes

SAMPLING = Config().sampling


def summary_of(outcomes, trivial=None, **options):
    groups = {name: group_by_environment(episodes(plays)) for name, plays in (trivial or {}).items()}
    return summarise(group_by_environment(episodes(outcomes)), SAMPLING, groups, **options)


def test_the_older_names_are_all_there():
    summary = summary_of({"affine:sat@small": [True, False]})
    assert {
        "total_samples",
        "num_environments",
        "weighted_accuracy",
        "weighted_mean_score",
        "overall_success_rate",
        "best_environment",
        "worst_environment",
        "per_environment",
    } <= summary.keys()
    entry = summary["per_environment"]["affine:sat"]
    assert {
        "num_samples",
        "accuracy",
        "mean_score",
        "std_score",
        "median_score",
        "confidence_interval",
        "success_rate",
    } <= entry.keys()
    assert entry["confidence_interval"].keys() == {"lower", "upper"}


def test_success_counts_get_the_jeffreys_interval_of_the_configured_level():
    summary = summary_of({"affine:sat@small": [True] * 3 + [False] * 7})
    entry = summary["per_environment"]["affine:sat"]
    interval = jeffreys_interval(3, 10, SAMPLING.confidence_level)
    assert entry["accuracy"] == pytest.approx(0.3)
    assert entry["confidence_interval"] == {"lower": interval.lower, "upper": interval.upper}
    assert entry["mean_score_interval"]["method"] == "beta"
    assert summary["statistics"]["confidence_level"] == 0.80
    assert summary["statistics"]["beta_prior_alpha"] == 0.5


def test_fractional_scores_are_bootstrapped_and_labelled_while_success_stays_a_count():
    scores = [0.0, 0.5, 0.5, 1.0]
    entry = summary_of({"agentgym:x@y": scores}, seed=3)["per_environment"]["agentgym:x"]
    expected = bootstrap_interval(scores, 0.80, samples=SAMPLING.bootstrap_samples, seed=3)
    assert entry["mean_score_interval"] == {**expected._asdict(), "method": "bootstrap"}
    assert entry["confidence_interval"]["upper"] == pytest.approx(jeffreys_interval(1, 4).upper)
    assert entry["accuracy"] == 0.25
    assert entry["success_rate"] == 0.75
    assert (entry["mean_score"], entry["median_score"]) == (0.5, 0.5)
    assert entry["std_score"] == pytest.approx(np.std(scores))


def test_an_ungraded_episode_is_an_error_and_never_a_zero():
    summary = summary_of({"affine:sat@small": [True, None, True, None]})
    entry = summary["per_environment"]["affine:sat"]
    assert (entry["num_samples"], entry["errors"], entry["accuracy"]) == (2, 2, 1.0)
    assert (summary["total_samples"], summary["errors"]) == (2, 2)


def test_an_environment_without_one_grade_has_no_rate_and_spoils_no_total():
    summary = summary_of({"affine:sat@small": [None, None], "affine:abd@generated-v1": [True, False]})
    entry = summary["per_environment"]["affine:sat"]
    assert entry["accuracy"] is None
    assert entry["confidence_interval"] == {"lower": 0.0, "upper": 1.0}
    assert summary["weighted_accuracy"] == 0.5
    assert summary["success"]["macro"]["rate"] is None
    json.dumps(summary, allow_nan=False)


def test_totals_weigh_by_tasks_and_macro_by_environments():
    summary = summary_of({"affine:sat@small": [True] * 9 + [False], "affine:abd@generated-v1": [False] * 2})
    assert summary["weighted_accuracy"] == pytest.approx(9 / 12)
    assert summary["success"]["micro"]["rate"] == pytest.approx(9 / 12)
    assert summary["success"]["macro"]["rate"] == pytest.approx(0.45)
    assert summary["success"]["macro"]["lower"] < 0.45 < summary["success"]["macro"]["upper"]
    assert (summary["best_environment"], summary["worst_environment"]) == ("affine:sat", "affine:abd")
    assert summary["num_environments"] == 2


def test_unseen_families_stand_apart_and_enter_no_total():
    seen = summary_of({"affine:ded@generated-v1": [True, False]})
    both = summary_of({"affine:ded@generated-v1": [True, False], "affine:ded@heldout-v1": [False] * 8})
    assert both["slices"]["unseen_families"]["affine:ded"]["num_samples"] == 8
    assert both["slices"]["unseen_families"]["affine:ded"]["families"] == ["heldout-v1"]
    del both["slices"], seen["slices"]
    assert both == seen


def test_trivial_policies_stand_beside_the_model():
    summary = summary_of(
        {"affine:sat@small": [True, False], "affine:sat@heldout-v1": [True]},
        {"all-true": {"affine:sat@small": [False, True], "affine:sat@heldout-v1": [False]}, "random": {}},
    )
    policies = summary["per_environment"]["affine:sat"]["trivial_policies"]
    assert policies.keys() == {"all-true"}
    assert policies["all-true"]["accuracy"] == 0.5
    unseen = summary["slices"]["unseen_families"]["affine:sat"]["trivial_policies"]
    assert unseen["all-true"]["accuracy"] == 0.0


def test_tokens_are_those_of_graded_tasks():
    plays = episodes({"affine:sat@small": [True, None]})
    plays[1].num_prompt_tokens, plays[1].num_completion_tokens = 0, 0
    summary = summarise({"affine:sat": plays}, SAMPLING)
    assert summary["tokens_per_task"] == {"prompt": 30.0, "completion": 4.0}
    assert summary["per_environment"]["affine:sat"]["stop_reasons"] == {"terminated": 1, "error": 1}


def test_difficulty_bins_hold_every_task_once_and_do_not_depend_on_results():
    def bins(outcome):
        plays = [episode(f"affine:sat@small/{i}", outcome(i), difficulty=i / 10) for i in range(20)]
        return summarise({"affine:sat": plays}, SAMPLING)["per_environment"]["affine:sat"]["by_difficulty"]

    easy_solved = bins(lambda i: i < 5)
    assert [b["accuracy"] for b in easy_solved] == [1.0, 0.0, 0.0, 0.0]
    assert sum(b["num_samples"] for b in easy_solved) == 20
    edges = [(b["from"], b["to"]) for b in easy_solved]
    assert edges == [(b["from"], b["to"]) for b in bins(lambda i: i % 2 == 0)]


def test_tasks_of_one_difficulty_make_one_bin():
    plays = [episode(f"affine:sat@small/{i}", True, difficulty=2.0) for i in range(5)]
    (only,) = summarise({"affine:sat": plays}, SAMPLING)["per_environment"]["affine:sat"]["by_difficulty"]
    assert (only["from"], only["to"], only["num_samples"]) == (2.0, 2.0, 5)


def test_settings_are_kept_for_the_comparison():
    assert summary_of({"affine:sat@small": [True]}, settings={"rules": "r"})["settings"] == {"rules": "r"}


def test_no_evaluation_task_is_refused():
    with pytest.raises(DataError, match="at least one"):
        summarise({"affine:sat": []}, SAMPLING)
