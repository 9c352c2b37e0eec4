"""A BabyAI game speaks and scores as AgentGym's server does, and never loses its footing."""

import random

import pytest

from affine_trainer.envs.babyai import LEVELS, BabyAIGames
from affine_trainer.envs.babyai.wording import NO_CHANGE, NOT_RECOGNIZED

GAMES = BabyAIGames()
NOT_CARRYING = "You cannot drop the object, as you are not carrying anything."


def task(level, seed=0):
    return seed * len(LEVELS) + level - 1


def play(game, *actions):
    return [game.act(action) for action in actions]


def random_play(game, rng, rounds):
    outcomes = []
    for _ in range(rounds):
        outcomes.append(game.act(rng.choice([*game.actions(), "jump", "drop", "go to red ball 7"])))
        if outcomes[-1].done:
            break
    return outcomes


def test_the_first_observation_tells_goal_things_walls_hands_and_actions():
    assert GAMES.start(task(3)).observe() == (
        "Your goal: go to the red ball\n"
        "In front of you in this room, you can see several objects: "
        "There is a red ball 1 4 steps in front of you and 3 steps to your right.  "
        "The room has walls around you. You are facing a wall 6 steps away. You are not carrying anything.\n"
        'Available actions: ["turn left", "turn right", "move forward", "pickup red ball 1", '
        '"go to red ball 1", "check available actions"]'
    )


def test_success_says_so_and_pays_by_the_steps_walked():
    game = GAMES.start(task(3))
    outcome = game.act("go to red ball 1")
    assert "There is a red ball 1 right in front of you 1 steps away." in outcome.observation
    assert "\n The task is completed.\nAvailable actions: [" in outcome.observation
    assert (outcome.done, game.success, game.progress) == (True, True, 1.0)
    assert outcome.reward == outcome.score == 1 - 0.9 * 7 / 64  # six cells and a turn, of 64 allowed steps


def test_the_list_of_actions_can_be_left_out():
    game = BabyAIGames(list_actions=False).start(task(3))
    assert "Available" not in game.observe() + game.act("turn left").observation


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("dance", NOT_RECOGNIZED),
        ("go to red ball 2", NOT_RECOGNIZED),
        ("Action: \u2603 \x00", NOT_RECOGNIZED),
        ("", NO_CHANGE),
        ("drop", NOT_CARRYING),
        (
            "check available actions",
            "You can take the following actions: turn left, turn right, move forward",
        ),
        ("please check", "You can take the following actions: turn left"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(action, told):
    game = GAMES.start(task(3))
    before = game.snapshot()
    outcome = game.act(action)
    assert outcome.observation.startswith(told)
    assert (outcome.reward, outcome.score, outcome.done) == (0.0, 0.0, False)
    assert game.act("turn left") == restored(GAMES.start(task(3)), before).act("turn left")


def restored(game, state):
    game.restore(state)
    return game


def test_pick_up_in_two_words_and_capitals_are_understood():
    words = [GAMES.start(task(19)) for _ in range(2)]
    name = next(action for action in words[0].actions() if action.startswith("pickup"))
    assert words[0].act(name) == words[1].act(f"  {name.replace('pickup', 'Pick UP')} ")


def test_a_wall_ahead_takes_the_step_from_the_list():
    game = GAMES.start(task(4))
    while "move forward" in game.actions():
        game.act("move forward")
    assert game.act("move forward").observation.startswith(
        "There is a barrier in front of you, you can't move forward."
    )


def test_a_goal_to_open_is_met_by_toggle_and_forfeited_by_walking_on():
    opened, passed = GAMES.start(task(13)), GAMES.start(task(13))
    door = next(action for action in opened.actions() if action.startswith("toggle and"))
    assert play(opened, door.removeprefix("toggle and go through ").join(["go to ", ""]))[-1].done is False
    assert opened.act("toggle").score > 0
    outcome = passed.act(door)
    assert (outcome.score, outcome.done, passed.success) == (0.0, False, False)
    assert passed.progress < 0.5


def test_the_levels_own_limit_of_steps_ends_the_play():
    game = GAMES.start(task(4))
    outcomes = play(game, *["turn left"] * 36)
    assert [outcome.done for outcome in outcomes] == [False] * 35 + [True]
    assert not game.success
    assert game.actions() == []
    assert game.act("turn left") == outcomes[-1]


def test_a_wrong_thing_in_a_strict_level_pays_nothing_and_play_goes_on():
    game = GAMES.start(task(20, 1))
    wrong = next(a for a in game.actions() if a.startswith("pickup") and not goal_names(game.goal, a))
    outcome = game.act(wrong)
    assert (outcome.score, outcome.done) == (0.0, False)
    assert "completed" not in outcome.observation


def goal_names(goal, action):
    return set(goal.split()[3:]) <= set(action.split())


def test_a_locked_door_asks_for_the_key_of_its_color():
    through = "toggle and go through grey locked door 1"
    refused = f"You cannot {through}, as "
    game = GAMES.start(task(25, 5))
    assert game.act(through).observation.startswith(f"{refused}you are not carrying a key.")
    wrong = act_in_view(game, "pickup red key 1", through)
    assert wrong.observation.startswith(f"{refused}the color of the key you are carrying does not match")
    game = GAMES.start(task(25, 5))
    act_in_view(game, "pickup grey key 1", "go to grey locked door 1")
    assert game.act("toggle").score > 0


def act_in_view(game, *actions):
    """What the last of the actions leads to; each waits until turning has brought its thing into view."""
    for action in actions:
        name = " ".join(action.split()[-4:] if "door" in action else action.split()[-3:])
        while name not in game.act("turn left").observation:
            pass
        outcome = game.act(action)
    return outcome


@pytest.mark.parametrize("level", LEVELS)
def test_equal_actions_make_equal_transcripts(level):
    def transcript():
        game = GAMES.start(task(level, 5))
        return [game.observe(), *random_play(game, random.Random(level), 12)]

    assert transcript() == transcript()


@pytest.mark.parametrize("level", LEVELS)
def test_a_snapshot_brings_back_observations_and_rewards(level):
    for seed in (2, 3):
        rng = random.Random(seed)
        game = GAMES.start(task(level, seed))
        random_play(game, rng, 8)
        state, progress = game.snapshot(), game.progress
        aftermath = [game.act(action) for action in some_actions(game, rng, 3)]
        for other in (game, GAMES.start(task(level, seed))):
            other.restore(state)
            assert other.snapshot() == state
            assert other.progress == progress
            rng_again = random.Random(seed)
            random_play(GAMES.start(task(level, seed)), rng_again, 8)
            assert [other.act(action) for action in some_actions(other, rng_again, 3)] == aftermath


def some_actions(game, rng, count):
    for _ in range(count):
        yield rng.choice(game.actions() or ["turn left"])


@pytest.mark.parametrize("level", LEVELS)
def test_every_listed_action_is_understood(level):
    game = GAMES.start(task(level, 4))
    rng = random.Random(level)
    for _ in range(8):
        actions = game.actions()
        state = game.snapshot()
        for action in actions:
            assert NOT_RECOGNIZED not in game.act(action).observation
            game.restore(state)
        if game.act(rng.choice(actions)).done:
            break


@pytest.mark.parametrize("level", LEVELS)
def test_progress_is_one_on_success_alone_and_gains_nothing_by_a_full_turn(level):
    game = GAMES.start(task(level, 6))
    rng = random.Random(level)
    for _ in range(6):
        before = game.progress
        assert 0.0 <= before < 1.0
        play(game, *["turn right"] * 4)
        assert game.success or game.progress == before
        if game.act(rng.choice(game.actions() or [""])).done:
            break
    assert (game.progress == 1.0) is game.success


def test_doing_nothing_scores_nothing_and_random_play_little():
    indices = GAMES.indices("validation", 120, 0)
    idle = [GAMES.start(index) for index in indices]
    assert all(outcome.score == 0.0 for game in idle for outcome in play(game, *["wait"] * 10))
    wins = 0
    for index in indices:
        game, rng = GAMES.start(index), random.Random(index)
        random_walk = [game.act(rng.choice(game.actions() or [""])) for _ in range(10)]
        wins += random_walk[-1].score > 0
    assert wins / len(indices) < 0.25  # some levels have few actions, one of which is the goal
