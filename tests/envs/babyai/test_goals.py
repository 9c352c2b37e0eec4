"""Goals are taken apart into errands in an order that satisfies what the server's wording hides."""

import pytest

from affine_trainer.envs.babyai import BabyAIGames
from affine_trainer.envs.babyai.goals import errands
from affine_trainer.envs.babyai.view import Pose, Thing


@pytest.mark.parametrize(
    ("goal", "order"),
    [
        ("go to the red ball", ["the red ball"]),
        ("open the red door, and open the blue door", ["the red door", "the blue door"]),
        ("open the red door and pick up a key", ["a key", "the red door"]),
        ("go to a box and open a door, and pick up the object", ["a door", "a box", "the object"]),
        (
            "put the red key next to a yellow ball and go to the box behind you and open a door on your left",
            ["a door on your left", "the box behind you", "the red key"],
        ),
    ],
)
def test_parts_after_a_comma_come_later_and_parts_after_and_come_first(goal, order):
    assert [errand.what.text for errand in errands(goal)] == order


def test_put_names_what_is_moved_and_what_stays():
    (errand,) = errands("put the grey box next to a green ball")
    assert (errand.verb, errand.what.color, errand.what.kind) == ("put", "grey", "box")
    assert errand.beside is not None
    assert (errand.beside.color, errand.beside.kind) == ("green", "ball")


def test_a_place_is_seen_from_the_start_and_within_its_room():
    (errand,) = errands("pick up the ball on your left")
    ball, start = Thing("ball", "red"), Pose(3, 3, 0)
    fits = {
        position: errand.what.fits(ball, position, start, 8) for position in ((3, 1), (3, 5), (3, 3), (10, 1))
    }
    assert fits == {(3, 1): True, (3, 5): False, (3, 3): False, (10, 1): False}


def test_every_goal_of_every_level_is_understood():
    games = BabyAIGames()
    for index in range(120):
        assert errands(games.start(index).goal)
