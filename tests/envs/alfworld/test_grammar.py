"""The household answers in the sentences of the real text engine, and to its grammar alone."""

import itertools

import pytest

from affine_trainer.envs.agents.game import Outcome
from affine_trainer.envs.alfworld import NEWER, OLDER, OLDER_SERVED, RULES, RULES_SHORT, AlfWorldGames
from affine_trainer.envs.alfworld.commands import ALONE, WITH_ONE, WITH_TWO
from affine_trainer.envs.alfworld.game import AlfWorldGame
from affine_trainer.envs.alfworld.goals import CLEAN, COOL, HEAT, LOOK, PLACE, TWO, Goal
from affine_trainer.envs.alfworld.scene import Scene
from tests.envs.alfworld.playing import GAMES

KITCHEN_PLACES = ("coffeemachine 1", "countertop 1", "fridge 1", "microwave 1", "sinkbasin 1")
KITCHEN_THINGS = {
    "apple 1": "fridge 1",
    "knife 1": "countertop 1",
    "mug 2": "countertop 1",
    "mug 1": "fridge 1",
    "tomato 1": "countertop 1",
}
BEDROOM_PLACES = ("bed 1", "desk 1", "drawer 1", "shelf 2", "shelf 1")
BEDROOM_THINGS = {"book 2": "bed 1", "book 1": "drawer 1", "desklamp 1": "desk 1", "pen 1": "desk 1"}


def kinds(names):
    return tuple(name.split()[0] for name in names)


def scene(goal, places, things, wording=0):
    where = tuple(places.index(place) for place in things.values())
    return Scene("here", goal, wording, places, kinds(places), tuple(things), kinds(things), where)


def kitchen(kind, thing, target, wording=NEWER, list_actions=False):
    return AlfWorldGame(
        scene(Goal(kind, thing, target), KITCHEN_PLACES, KITCHEN_THINGS), wording, list_actions
    )


def bedroom(kind, thing, target):
    return AlfWorldGame(scene(Goal(kind, thing, target), BEDROOM_PLACES, BEDROOM_THINGS), NEWER, False)


def answers(game, *actions):
    return [game.act(action).observation for action in actions]


def test_the_first_observation_lists_the_receptacles_and_the_task():
    assert kitchen(CLEAN, "mug", "coffeemachine").observe() == (
        "You are in the middle of a room. Looking quickly around you, you see a coffeemachine 1, "
        "a countertop 1, a fridge 1, a microwave 1, and a sinkbasin 1.\n"
        "Your task is to: put a clean mug in coffeemachine."
    )


def test_the_possible_actions_are_added_on_request():
    text = kitchen(CLEAN, "mug", "coffeemachine", list_actions=True).observe()
    assert text.endswith(
        "\nAVAILABLE ACTIONS: go to coffeemachine 1,go to countertop 1,go to fridge 1,"
        "go to microwave 1,go to sinkbasin 1,inventory,look"
    )


def test_a_mug_is_cleaned_and_put_in_the_coffeemachine():
    game = kitchen(CLEAN, "mug", "coffeemachine")
    assert answers(
        game,
        "go to fridge 1",
        "open fridge 1",
        "take mug 1 from fridge 1",
        "close fridge 1",
        "go to sinkbasin 1",
        "clean mug 1 with sinkbasin 1",
        "inventory",
        "go to coffeemachine 1",
    ) == [
        "You arrive at fridge 1. The fridge 1 is closed.",
        "You open the fridge 1. The fridge 1 is open. In it, you see a apple 1, and a mug 1.",
        "You pick up the mug 1 from the fridge 1.",
        "You close the fridge 1.",
        "You arrive at sinkbasin 1. On the sinkbasin 1, you see nothing.",
        "You clean the mug 1 using the sinkbasin 1.",
        "You are carrying: a mug 1.",
        "You arrive at coffeemachine 1. On the coffeemachine 1, you see nothing.",
    ]
    assert game.act("move mug 1 to coffeemachine 1") == Outcome(
        "You move the mug 1 to the coffeemachine 1.", 1.0, 1.0, True
    )


@pytest.mark.parametrize("put", ["move mug 2 to coffeemachine 1", "put mug 2 in/on coffeemachine 1"])
@pytest.mark.parametrize("wording", [NEWER, OLDER, OLDER_SERVED])
def test_both_ways_of_putting_are_understood_under_every_wording(put, wording):
    game = kitchen(PLACE, "mug", "coffeemachine", wording)
    answers(game, "go to countertop 1", "take mug 2 from countertop 1", "go to coffeemachine 1")
    outcome = game.act(put)
    assert outcome.done
    assert outcome.observation == (
        "You put the mug 2 in/on the coffeemachine 1."
        if put.startswith("put")
        else "You move the mug 2 to the coffeemachine 1."
    )


@pytest.mark.parametrize(
    ("wording", "arrival"),
    [(NEWER, "You arrive at fridge 1. "), (OLDER, "You arrive at loc 3. "), (OLDER_SERVED, "")],
)
def test_an_arrival_is_told_as_each_version_tells_it(wording, arrival):
    game = kitchen(PLACE, "mug", "coffeemachine", wording)
    assert answers(game, "go to fridge 1") == [arrival + "The fridge 1 is closed."]


def test_the_older_wording_lists_its_own_way_of_putting():
    game = kitchen(PLACE, "mug", "coffeemachine", OLDER)
    answers(game, "go to countertop 1", "take mug 2 from countertop 1")
    assert "put mug 2 in/on countertop 1" in game.actions()
    assert "move mug 2 to countertop 1" not in game.actions()


def test_heating_and_cooling_undo_each_other_and_need_no_open_door():
    game = kitchen(HEAT, "apple", "countertop")
    answers(game, "go to fridge 1", "open fridge 1", "take apple 1 from fridge 1")
    assert answers(
        game,
        "cool apple 1 with fridge 1",
        "examine apple 1",
        "go to microwave 1",
        "heat apple 1 with microwave 1",
        "examine apple 1",
        "go to fridge 1",
        "cool apple 1 with fridge 1",
        "go to countertop 1",
        "move apple 1 to countertop 1",
    ) == [
        "You cool the apple 1 using the fridge 1.",
        "This is a cold apple 1.",
        "You arrive at microwave 1. The microwave 1 is closed.",
        "You heat the apple 1 using the microwave 1.",
        "This is a hot apple 1.",
        "You arrive at fridge 1. The fridge 1 is open. In it, you see a mug 1.",
        "You cool the apple 1 using the fridge 1.",
        "You arrive at countertop 1. On the countertop 1, you see a knife 1, a mug 2, and a tomato 1.",
        "You move the apple 1 to the countertop 1.",
    ]
    assert not game.success


def test_a_cooled_thing_in_its_place_ends_the_game():
    game = kitchen(COOL, "tomato", "countertop")
    answers(game, "go to countertop 1", "take tomato 1 from countertop 1", "go to fridge 1")
    answers(game, "cool tomato 1 with fridge 1", "go to countertop 1")
    assert not game.success
    assert game.act("move tomato 1 to countertop 1").done


def test_an_untreated_thing_in_its_place_does_not_end_the_game():
    game = kitchen(HEAT, "mug", "coffeemachine")
    answers(game, "go to countertop 1", "take mug 2 from countertop 1", "go to coffeemachine 1")
    outcome = game.act("move mug 2 to coffeemachine 1")
    assert outcome == Outcome("You move the mug 2 to the coffeemachine 1.", 0.0, 0.0, False)


def test_two_things_must_be_in_the_same_receptacle():
    game = bedroom(TWO, "book", "shelf")
    answers(game, "go to bed 1", "take book 2 from bed 1", "go to shelf 1", "move book 2 to shelf 1")
    answers(game, "go to drawer 1", "open drawer 1", "take book 1 from drawer 1", "go to shelf 2")
    assert not game.act("move book 1 to shelf 2").done
    answers(game, "take book 1 from shelf 2", "go to shelf 1")
    assert game.act("move book 1 to shelf 1").done


@pytest.mark.parametrize("first", ["lamp", "book"])
def test_a_thing_is_looked_at_where_the_lamp_is_on(first):
    game = bedroom(LOOK, "book", "desklamp")
    lamp = ["go to desk 1", "examine desklamp 1", "use desklamp 1", "examine desklamp 1"]
    book = ["go to bed 1", "take book 2 from bed 1"]
    if first == "book":
        answers(game, *book, "go to desk 1")
        assert answers(game, "use desklamp 1") == ["You turn on the desklamp 1."]
    else:
        assert answers(game, *lamp)[1:] == [
            "This desklamp 1 is off.",
            "You turn on the desklamp 1.",
            "This desklamp 1 is on.",
        ]
        answers(game, *book)
        assert not game.success
        answers(game, "go to desk 1")
    assert game.success


def test_look_tells_the_room_or_what_one_faces():
    game = kitchen(PLACE, "mug", "coffeemachine")
    assert game.act("look").observation == game.observe().split("\n")[0]
    assert answers(game, "go to fridge 1", "look", "inventory")[1:] == [
        "You are facing the fridge 1. Next to it, you see nothing.",
        "You are not carrying anything.",
    ]


def test_things_are_sliced_with_a_knife_in_the_hand():
    game = kitchen(PLACE, "mug", "coffeemachine")
    answers(game, "go to countertop 1")
    assert answers(
        game,
        "slice tomato 1 with knife 1",
        "take knife 1 from countertop 1",
        "slice mug 2 with knife 1",
        "slice tomato 1 with knife 1",
        "examine tomato 1",
        "examine mug 2",
        "examine knife 1",
    ) == [
        "Nothing happens.",
        "You pick up the knife 1 from the countertop 1.",
        "Nothing happens.",
        "You sliced the tomato 1 with the knife 1.",
        "This is a sliced tomato 1.",
        "This is a normal mug 2. In it, you see nothing.",
        "There's nothing special about knife 1.",
    ]


@pytest.mark.parametrize(
    "action",
    [
        "",
        "   ",
        "go to",
        "go to the fridge 1",
        "go to fridge 9",
        "go to countertop 1",
        "open coffeemachine 1",
        "open fridge 1",
        "close fridge 1",
        "take mug 1 from fridge 1",
        "take mug 2",
        "take coffeemachine 1 from countertop 1",
        "take apple 1 from countertop 1",
        "move mug 2 to countertop 1",
        "put mug 2 on countertop 1",
        "clean mug 2 with sinkbasin 1",
        "heat mug 2 with countertop 1",
        "use mug 2",
        "slice tomato 1 with mug 2",
        "examine fridge 1",
        "examine mug 1",
        "Look",
        "help me",
        "inventory now",
        "take {x} from {y}",
        "go to countertop 1\nlook",
        "\x00\ud800",
        "take " * 10_000,
    ],
)
def test_what_is_not_possible_changes_nothing(action):
    game = kitchen(CLEAN, "mug", "coffeemachine")
    answers(game, "go to countertop 1")
    before = game.snapshot()
    assert game.act(action) == Outcome("Nothing happens.", 0.0, 0.0, False)
    assert game.snapshot() == before


def test_one_thing_at_a_time_and_nothing_through_a_closed_door():
    game = kitchen(CLEAN, "mug", "coffeemachine")
    answers(game, "go to countertop 1", "take mug 2 from countertop 1")
    assert answers(
        game, "take tomato 1 from countertop 1", "go to fridge 1", "move mug 2 to fridge 1", "examine apple 1"
    ) == [
        "Nothing happens.",
        "You arrive at fridge 1. The fridge 1 is closed.",
        "Nothing happens.",
        "Nothing happens.",
    ]


def test_nothing_happens_after_the_end():
    game = kitchen(PLACE, "mug", "coffeemachine")
    answers(game, "go to countertop 1", "take mug 2 from countertop 1", "go to coffeemachine 1")
    assert game.act("move mug 2 to coffeemachine 1").reward == 1.0
    assert game.act("take mug 2 from coffeemachine 1") == Outcome("Nothing happens.", 0.0, 1.0, True)


def every_wording(places, things):
    """All that can be written about these names."""
    yield from ("look", "inventory")
    for name in (*places, *things):
        yield from (f"{verb} {name}" for verb in ("go to", "open", "close", "use", "examine"))
    for thing, place in itertools.product(things, places):
        yield f"take {thing} from {place}"
        yield f"move {thing} to {place}"
        yield from (f"{verb} {thing} with {place}" for verb in ("clean", "heat", "cool"))
    yield from (f"slice {thing} with {knife}" for thing, knife in itertools.permutations(things, 2))


def test_the_listed_actions_are_exactly_those_that_do_not_answer_nothing_happens():
    game = kitchen(CLEAN, "mug", "coffeemachine")
    path = ["look", "go to countertop 1", "take knife 1 from countertop 1", "go to fridge 1", "open fridge 1"]
    path += ["move knife 1 to fridge 1", "take apple 1 from fridge 1", "go to sinkbasin 1"]
    for action in path:
        game.act(action)
        state, listed = game.snapshot(), game.actions()
        possible = []
        for written in every_wording(KITCHEN_PLACES, KITCHEN_THINGS):
            if game.act(written).observation != "Nothing happens.":
                possible.append(written)
            game.restore(state)
        assert listed == sorted(possible)


def test_the_rules_name_every_verb_and_stay_short():
    assert len(RULES) <= 1200
    assert len(RULES_SHORT) <= 120
    grammar = RULES.split("\n\n")[1]
    for verb in (*ALONE, *WITH_ONE, *WITH_TWO):
        assert verb in grammar


def test_the_wording_is_one_of_the_games_settings():
    game = AlfWorldGames(OLDER, list_actions=True).start(3)
    assert "AVAILABLE ACTIONS: " in game.observe()
    assert game.act(GAMES.start(3).actions()[0]).observation.startswith("You arrive at loc ")
