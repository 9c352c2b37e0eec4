"""Experiment files: what they mean, and the sentences for what is wrong with them."""

from pathlib import Path

import pytest

from affine_trainer.config import Config, load_experiment
from affine_trainer.errors import ConfigError

GOOD = """
seeds: [3, 5]
shared_seed: 1
set: {rl_training.num_rollouts: 2, evaluation: {num_samples: 7}}
overlays:
  plain:
  fast: {rl_training.learning_rate: 1e-3}
  weighted:
    rl_training:
      weights: {sat: 1}
    data: {affine.environments: [sat], agentgym.environments: []}
"""


def load(tmp_path: Path, text: str, *overrides: str, **named):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    return load_experiment(path, overrides, **named)


def mistakes(tmp_path: Path, text: str, *overrides: str, **named) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides, **named)
    return str(caught.value)


def test_cells_come_seed_by_seed_with_their_own_runs_and_the_shared_seed(tmp_path):
    found = load(tmp_path, GOOD)
    assert (found.name, found.baseline, found.overlays) == ("some", "plain", ("plain", "fast", "weighted"))
    assert [(cell.overlay, cell.seed) for cell in found.cells] == [
        (overlay, seed) for seed in (3, 5) for overlay in found.overlays
    ]
    plain, fast, weighted = (cell.config for cell in found.cells[:3])
    assert (fast.run, fast.seed, found.cells[1].shared.seed) == ("some.fast.3", 3, 1)
    assert plain.rl_training.learning_rate == Config().rl_training.learning_rate
    assert fast.rl_training.learning_rate == 1e-3
    assert {c.rl_training.num_rollouts for c in (plain, fast, weighted)} == {2}
    assert {c.evaluation.num_samples for c in (plain, fast, weighted)} == {7}
    assert weighted.rl_training.weights == {"sat": 1.0}  # a dict that is a value is replaced, not merged


def test_without_a_shared_seed_collect_and_sft_take_the_cells(tmp_path):
    found = load(tmp_path, GOOD.replace("shared_seed: 1\n", ""))
    assert [cell.shared.seed for cell in found.cells] == [3, 3, 3, 5, 5, 5]


def test_the_base_is_found_beside_the_file_and_the_command_line_wins_over_it(tmp_path):
    (tmp_path / "base.yaml").write_text("rl_training: {ppo_epochs: 3, kl_coef: 0.5}\n")
    found = load(tmp_path, "base: base.yaml\n" + GOOD, "rl_training.kl_coef=0.25", name="x", baseline="fast")
    assert (found.cells[0].config.run, found.baseline) == ("x.plain.3", "fast")
    assert (found.cells[0].config.rl_training.ppo_epochs, found.cells[0].config.rl_training.kl_coef) == (
        3,
        0.25,
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seeds: [1]\noverlays: {}\n", "overlays names none: give at least one"),
        ("overlays: {a: {}}\n", "seeds names none: give whole numbers, such as [0, 1, 2]"),
        ("seeds: [1, 2, 1]\noverlays: {a: {}}\n", "seeds names one twice: 1, 2, 1"),
        ("seeds: [one]\noverlays: {a: {}}\n", "seeds[0]: expected a whole number, got 'one'"),
        ("seeds: [1]\noverlays:\n  a: {}\n  a: {}\n", "overlays.a: given more than once (lines 3 and 4)"),
        ("seed: [1]\noverlays: {a: {}}\n", "seed: unknown key; did you mean seeds?"),
        ("seeds: [1]\noverlays: {a b: {}}\n", "overlays.a b"),
        ("base: none.yaml\nseeds: [1]\noverlays: {a: {}}\n", "none.yaml does not exist"),
        ("seeds: [1]\nset: {seeed: 1}\noverlays: {a: {}}\n", "seeed: unknown key; did you mean seed?"),
        (
            "seeds: [1]\noverlays: {a: {rl_training.learning_rat: 1}}\n",
            "overlays.a.rl_training.learning_rat: unknown key; did you mean rl_training.learning_rate?",
        ),
        (
            "seeds: [1]\noverlays: {a: {rl_training: {gae_lambda: 2}}, b: {sed: 3}}\n",
            "overlays.a.rl_training.gae_lambda: must be at most 1, got 2\n  overlays.b.sed: unknown key",
        ),
        (
            "seeds: [1]\noverlays: {a: {rl_training.gamma: 1, rl_training: {gamma: 0.5}}}\n",
            "overlays.a.rl_training.gamma: given twice",
        ),
        ("seeds: [1]\noverlays: {a: {seed: 3}}\n", "overlays.a.seed: cannot be set by an overlay"),
        (
            "seeds: [1]\noverlays: {a: {evaluation.num_samples: 3}}\n",
            "overlays.a.evaluation.num_samples: cannot be set by an overlay: the cells are compared on",
        ),
        ("- 1\n", "should hold sections of keys and values, but holds a list"),
    ],
)
def test_bad_files_are_refused_in_one_sentence_a_mistake(tmp_path, text, sentence):
    assert sentence in mistakes(tmp_path, text)


def test_an_overlay_that_is_not_there_is_named_with_the_nearest(tmp_path):
    assert "has no overlay 'fats'; did you mean fast?" in mistakes(tmp_path, GOOD, baseline="fats")


def test_a_key_set_by_an_overlay_and_on_the_command_line_is_refused(tmp_path):
    said = mistakes(tmp_path, GOOD, "rl_training.learning_rate=1e-4")
    assert "overlays.fast.rl_training.learning_rate: is set by the overlay and by --set: drop one" in said
