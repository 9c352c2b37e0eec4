"""The rule profiles are found by name, and a wrong name says which exist."""

from typing import get_args

import pytest

from affine_trainer.config import Config, EvaluationConfig
from affine_trainer.errors import AffineError
from affine_trainer.rules import DEFAULT_RULES, RULES, rules_named


def test_the_default_of_the_config_is_the_profile_of_november_2025():
    rules = rules_named(Config().evaluation.rules)
    assert rules is DEFAULT_RULES
    assert rules.name == "affine-2025-11"
    assert rules.sat_by_task_id and rules.final_newline and not rules.validator_exact


def test_every_profile_is_found_under_its_own_name():
    assert all(rules_named(name).name == name for name in RULES)


def test_the_config_takes_exactly_the_profiles_there_are():
    assert set(get_args(EvaluationConfig.model_fields["rules"].annotation)) == set(RULES)


def test_an_unknown_profile_is_refused_with_the_names_there_are():
    with pytest.raises(AffineError, match=r"no rules named 'affine-1999'.*affine-2025-11"):
        rules_named("affine-1999")
