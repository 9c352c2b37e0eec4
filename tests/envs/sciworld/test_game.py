"""Games speak the simulator's own words, are the same each time, and can be restored."""

import json

import pytest

from affine_trainer.envs.sciworld.rules import RULES, RULES_SHORT
from affine_trainer.envs.sciworld.table import ENDS, TASKS
from affine_trainer.errors import AffineError


def index_of(name, variation=0):
    place = [task.name for task in TASKS].index(name)
    return ENDS[place] - TASKS[place].num_variations + variation


def transcript(game, actions):
    return [game.observe(), *(game.act(action) for action in actions)]


def test_the_first_observation_is_the_task_and_the_room(start):
    task, room, *listing = start(index_of("boil")).observe().split("\n")
    assert task.startswith("Your task is to boil water.")
    assert room == "This room is called the hallway. In it, you see: "
    assert "\tA door to the kitchen (that is closed)" in listing


def test_doors_things_and_inventory_answer_in_the_simulators_words(start):
    game = start(index_of("boil"))
    said = [
        game.act(action).observation
        for action in (
            "go to kitchen",
            "open door to kitchen",
            "open door to kitchen",
            "go to kitchen",
            "pick up thermometer",
            "inventory",
            "wait",
        )
    ]
    assert said[:5] == [
        "The door is not open.",
        "The door is now open.",
        "The door is already open.",
        "You move to the kitchen.",
        "You move the thermometer to the inventory.",
    ]
    assert "a thermometer" in said[5]
    assert said[6] == "You decide to wait for 10 iterations."


def test_what_is_not_understood_costs_nothing_but_the_turn(start):
    game = start(index_of("melt"))
    for action in [
        "",
        "\n",
        "xyzzy",
        "open",
        "teleport to kitchen",
        "ü 漢 \x00 \udc80",
        "a " * 5_000,
        '"\\%s{}',
    ]:
        outcome = game.act(action)
        assert outcome.observation == "No known action matches that input.", action
        assert (outcome.reward, outcome.score, outcome.done) == (0, 0, False)
    assert game.act("open door to kitchen").observation == "The door is now open."


def test_an_ambiguous_action_is_answered_by_a_number(start):
    game = start(index_of("boil"))
    question = game.act("open door").observation
    assert question.startswith("Ambiguous request: Please enter the number for the action you intended")
    assert "0" in game.actions()
    number = next(line.split(":")[0] for line in question.split("\n") if "kitchen" in line)
    assert game.act(number).observation == "The door is now open."
    assert game.act("go to kitchen").observation == "You move to the kitchen."


def test_a_wrong_focus_ends_the_game_with_minus_100(start):
    game = start(index_of("boil"))
    outcome = game.act("focus on air")
    assert outcome == type(outcome)("You focus on the air.", -100, -100, True)
    assert (game.success, game.progress, game.actions()) == (False, 0.0, [])
    after = game.act("reset task")
    assert (after.reward, after.score, after.done) == (0, -100, True)


def test_the_game_ends_after_100_ticks_as_on_the_server(start):
    game = start(index_of("boil"))
    ends = [game.act("wait").done for _ in range(10)]
    assert ends == [False] * 9 + [True]


def test_rewards_add_up_to_the_score(start):
    game = start(index_of("power-component"))
    score = 0
    for action in ("open door to workshop", "go to workshop", "focus on red light bulb"):
        outcome = game.act(action)
        score += outcome.reward
        assert (outcome.score, game.progress) == (score, score / 100)
    assert score > 0


def test_the_same_actions_give_the_same_bytes_whatever_else_is_played(games, start, wander):
    indices = [index_of("find-animal", 7), index_of("test-conductivity", 400)]
    alone = []
    for index in indices:
        game = start(index)
        alone.append([game.observe(), *wander(game, 5, index)])
        game.close()
    together = [start(index) for index in indices]
    plays = [[game.observe()] for game in together]
    actions = [[action for action, _ in play[1:]] for play in alone]
    for turn in range(5):
        for game, play, todo in reversed(list(zip(together, plays, actions, strict=True))):
            if turn < len(todo):
                play.append((todo[turn], game.act(todo[turn])))
    assert plays == alone


@pytest.mark.parametrize("name", ["use-thermometer", "find-plant", "identify-life-stages-1"])
def test_a_restored_game_goes_on_as_the_saved_one_did(start, wander, name):
    game = start(index_of(name, 5))
    wander(game, 2, 0)
    saved = game.snapshot()
    later = wander(game, 3, 1)
    score = game.progress
    game.restore(saved)
    assert [(action, game.act(action)) for action, _ in later] == later
    assert game.progress == score
    assert json.loads(saved)["actions"] == json.loads(game.snapshot())["actions"][:2]


def test_a_snapshot_of_another_game_is_refused(start):
    with pytest.raises(AffineError, match="cannot be restored"):
        start(1).restore(start(0).snapshot())


def test_doing_nothing_earns_nothing_and_waiting_next_to_nothing(games, start):
    scores = []
    for index in games.indices("evaluation", 6, 0):
        game = start(index)
        assert [game.act("").reward for _ in range(5)] == [0] * 5
        scores.append([game.act("wait1").score for _ in range(5)][-1])
    assert sum(scores) / len(scores) < 5  # a task may begin in the room that it leads to


def test_random_actions_seldom_score(games, start, wander):
    for index in games.indices("evaluation", 3, 1):
        game = start(index)
        wander(game, 4, index)
        assert game.progress < 0.5


def test_the_rules_are_short_and_name_every_template(games, start):
    jvm = games._pool.jvm()
    interface = start(0)._world._interface
    templates = jvm.strings(jvm.call(interface, "getPossibleActions"))
    assert len(templates) == 26
    for template in templates:
        verb = template.split(" OBJ")[0].removesuffix(" task")
        assert verb in RULES, template
    assert len(RULES) <= 1_200
    assert len(RULES_SHORT) <= 120
