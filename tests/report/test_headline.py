"""The headline of a comparison says what its macro difference says, and advises nothing that cannot help."""

import pytest

from affine_trainer.config import Config
from affine_trainer.report.headline import headline, standing
from affine_trainer.report.pairing import read_evaluation
from affine_trainer.report.plan_table import plan_notes
from affine_trainer.report.planning import plan_for
from affine_trainer.report.tables import comparison_markdown
from affine_trainer.report.verdict import compare_all
from affine_trainer.scoring import DEFAULT_SCORING
from tests.evaluations import episodes, write_evaluation

CONFIG = Config()
SAT, ABD, DED = "affine:sat@small", "affine:abd@generated-v1", "affine:ded@generated-v1"


def solved(sat, abd, ded):
    """Three environments of 60 tasks, of which the first so many are solved."""
    counts = {SAT: sat, ABD: abd, DED: ded}
    return {name: [index < count for index in range(60)] for name, count in counts.items()}


@pytest.fixture
def evaluation(tmp_path):
    def made(label, *counts):
        folder = write_evaluation(tmp_path / label, episodes(solved(*counts)), CONFIG)
        return read_evaluation(folder, label)

    return made


def test_a_model_that_is_worse_on_the_whole_is_not_called_undecided_alone(evaluation):
    models = evaluation("rl", 36, 4, 7), [evaluation("base", 37, 3, 20), evaluation("sft", 36, 4, 7)]
    found = compare_all(*models, CONFIG.sampling)
    result = found["baselines"]["base"]
    assert result["verdict"] == "undecided" and result["macro"]["upper"] < 0
    assert result["standing"] == "worse on the whole (macro), unlikely to dominate"
    expected = (
        "rl is worse than base on the whole (macro), unlikely to dominate, and solves the same tasks as sft"
    )
    assert found["headline"] == expected and found["sentence"].startswith(f"{expected}; it is ")
    assert result["further_tasks_per_environment"] is None
    assert "it is unlikely to dominate (probability 0.00)" in result["sentence"]
    assert "more tasks" not in result["sentence"]
    assert "Verdict: **worse on the whole (macro), unlikely to dominate**" in comparison_markdown(found)


def test_a_plan_advises_no_tasks_for_a_dominance_that_is_excluded(evaluation):
    models = evaluation("rl", 36, 4, 7), evaluation("base", 37, 3, 20)
    plan = plan_for(*models, [DEFAULT_SCORING], CONFIG.sampling)
    assert "would settle it" not in plan_notes(plan)[1]


def test_a_model_that_is_better_on_the_whole_leaves_dominance_open(evaluation):
    found = compare_all(evaluation("rl", 40, 3, 20), [evaluation("base", 38, 4, 7)], CONFIG.sampling)
    result = found["baselines"]["base"]
    assert result["verdict"] == "undecided" and result["macro"]["lower"] > 0
    assert found["headline"] == "rl is better than base on the whole (macro), dominance undecided"
    assert result["standing"] == "better on the whole (macro), dominance undecided"
    assert "dominance is undecided" in result["sentence"] and "more tasks" in result["sentence"]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("dominates", "rl dominates base"),
        ("dominated", "rl is dominated by base"),
        ("incomparable", "rl neither dominates nor is dominated by base"),
        ("undecided", "rl is not clearly different from base"),
    ],
)
def test_a_verdict_that_stands_is_its_own_headline(verdict, words):
    result = {
        "verdict": verdict,
        "macro": {"lower": -0.1, "upper": 0.1},
        "per_environment": {"x": {"num_discordant": 3, "difference": 0.0}},
        "probabilities": {"dominates": 0.5},
    }
    assert standing(result, 0.9) == verdict
    assert headline("rl", {"base": result}, 0.9) == words
