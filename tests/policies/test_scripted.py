"""The trivial policies answer in each environment's own format, from the prompt alone."""

import pytest

from affine_trainer.config import Config
from affine_trainer.envs import ENVIRONMENTS, task_set
from affine_trainer.envs.parsing import extract_input, extract_program, parse_assignment
from affine_trainer.policies.scripted import TRIVIAL_POLICIES
from affine_trainer.records import Conversation, Sampling

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=16, seed=0)


def conversations(env, family, count=20):
    tasks = task_set(env, family, config=Config(), sandbox=None).tasks(range(count))
    return [Conversation(messages=list(task.prompt), task=task) for task in tasks]


def policy(env, name):
    [found] = [policy for policy in TRIVIAL_POLICIES[env] if policy.name == name]
    return found


def texts(env, name, family, seed=0):
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=16, seed=seed)
    return [completion.text for completion in policy(env, name).reply(conversations(env, family), sampling)]


def test_every_single_turn_environment_has_trivial_policies():
    assert set(TRIVIAL_POLICIES) == {env for env in ENVIRONMENTS if env.startswith("affine:")}


@pytest.mark.parametrize("env", sorted(TRIVIAL_POLICIES))
def test_a_reply_is_appended_to_its_conversation_without_tokens(env):
    family = "small" if env == "affine:sat" else "generated-v1"
    for scripted in TRIVIAL_POLICIES[env]:
        played = conversations(env, family, count=3)
        completions = scripted.reply(played, GREEDY)
        assert [talk.messages[-1].content for talk in played] == [
            completion.text for completion in completions
        ]
        assert all(talk.messages[-1].role == "assistant" and not talk.token_ids for talk in played)
        assert all(completion.stop == "stop" and completion.token_ids == () for completion in completions)


@pytest.mark.parametrize("family", ["small", "guide", "validator"])
@pytest.mark.parametrize("name", ["all-true", "random"])
def test_the_sat_policies_give_every_variable_a_value(family, name):
    for talk, text in zip(
        conversations("affine:sat", family), texts("affine:sat", name, family), strict=True
    ):
        num_variables = len(
            task_set("affine:sat", family, config=Config(), sandbox=None).formula(talk.task.index).planted
        )
        assert set(parse_assignment(text)) == set(range(1, num_variables + 1))


def test_random_assignments_follow_the_seed_and_differ_between_tasks():
    first, again, other = (texts("affine:sat", "random", "validator", seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len(set(first)) > 15
    values = [value for text in first for value in parse_assignment(text).values()]
    assert 0.4 < sum(values) / len(values) < 0.6


def test_random_assignments_do_not_depend_on_the_batch():
    together = texts("affine:sat", "random", "small")
    [last] = policy("affine:sat", "random").reply(conversations("affine:sat", "small")[-1:], GREEDY)
    assert together[-1] == last.text


def test_the_abd_policies_leave_the_input_empty_or_copy_the_shown_output():
    outputs = [
        talk.messages[0].content.split("Output:\n```\n")[1].split("\n```")[0]
        for talk in conversations("affine:abd", "generated-v1")
    ]
    copied = [extract_input(text) for text in texts("affine:abd", "copied-output", "generated-v1")]
    assert copied == [output.strip() for output in outputs]
    assert {extract_input(text) for text in texts("affine:abd", "empty-input", "generated-v1")} == {""}


def test_the_ded_policies_write_programs_that_compile():
    for scripted in TRIVIAL_POLICIES["affine:ded"]:
        for text in texts("affine:ded", scripted.name, "generated-v1"):
            compile(extract_program(text), "reply", "exec")
