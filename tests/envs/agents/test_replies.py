"""Reading the action out of a reply, as AgentGym's clients do."""

import pytest

from affine_trainer.envs.agents.replies import parse_action


@pytest.mark.parametrize(
    ("reply", "action"),
    [
        ("Thought: I look.\nAction: look", "look"),
        ("Action:\nclick[buy now]", "click[buy now]"),
        ("Action: a\nThen Action: go to desk 1\n", "go to desk 1"),
        ("Action: search[red\nshirt]", "search[red\nshirt]"),
    ],
)
def test_the_rest_behind_the_last_mark_is_the_action(reply: str, action: str) -> None:
    assert parse_action(reply, "rest") == (action, None)


@pytest.mark.parametrize(
    ("reply", "action"),
    [
        ("Thought: now.\nAction: get 2 oak log\nI hope so.", "get 2 oak log"),
        ("Action: craft 1 bed using 3 wool, 3 planks!", "craft 1 bed using 3 wool, 3 planks"),
        ("Action: pick-up  the   [key] 1", "pickup the key 1"),
        ("Action:", ""),
    ],
)
def test_the_line_behind_the_mark_is_cleaned(reply: str, action: str) -> None:
    assert parse_action(reply, "line") == (action, None)


def test_no_action_and_two_actions_are_faults_that_say_so() -> None:
    assert "no 'Action:'" in str(parse_action("I think", "rest").fault)
    assert "no 'Action:'" in str(parse_action("I think", "line").fault)
    assert "only one" in str(parse_action("Action: a\nAction: b", "line").fault)
