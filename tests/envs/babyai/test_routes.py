"""Views hide what walls hide, and walks go round things in the fewest steps."""

from affine_trainer.envs.babyai.routes import FORWARD, LEFT, RIGHT, Routes, after
from affine_trainer.envs.babyai.view import UNSEEN, WALL, Pose, Thing, look
from affine_trainer.envs.babyai.wording import describe, offers

EAST, SOUTH, WEST, NORTH = range(4)


def room(drawing):
    """A lookup over rows of characters: # wall, o red ball, + closed red door, / open red door."""
    things = {"#": WALL, "o": Thing("ball", "red"), "+": Thing("door", "red", "closed")}
    things["/"] = Thing("door", "red", "open")
    cells = {(x, y): things.get(c) for y, row in enumerate(drawing) for x, c in enumerate(row)}
    return lambda x, y: cells.get((x, y), WALL)


OPEN = room(["#########", "#       #", "#  o    #", "#       #", "#   o   #", "#########"])
SHUT = room(["#######", "#  +  #", "#######"])


def test_a_shut_door_hides_the_next_room_and_an_open_one_does_not():
    ajar = room(["#######", "#  /  #", "#######"])
    seen = {position for position, _ in look(SHUT, Pose(1, 1, EAST), None).positions()}
    assert (3, 1) in seen
    assert (4, 1) not in seen
    assert (5, 1) in {position for position, _ in look(ajar, Pose(1, 1, EAST), None).positions()}


def test_what_is_behind_is_not_seen():
    view = look(OPEN, Pose(4, 2, EAST), None)
    assert UNSEEN not in {cell for _, cell in view.positions()}
    assert all(position[0] >= 4 for position, _ in view.positions())


def test_a_walk_ends_before_the_thing_and_faces_it():
    for position in ((3, 2), (4, 4)):
        for pose in (Pose(1, 1, SOUTH), Pose(7, 1, WEST), Pose(1, 4, NORTH)):
            moves = Routes(look(OPEN, pose, None)).facing(position)
            if moves is not None:
                assert after(pose, moves).front == position


def test_a_walk_goes_round_what_is_in_the_way():
    blocked = room(["#######", "#     #", "#  o o#", "#     #", "#######"])
    assert Routes(look(blocked, Pose(1, 2, EAST), None)).facing((5, 2)) in (
        [FORWARD, LEFT, FORWARD, RIGHT, FORWARD, FORWARD, RIGHT, FORWARD, LEFT],
        [LEFT, FORWARD, RIGHT, FORWARD, FORWARD, FORWARD, RIGHT, FORWARD, LEFT],
        [LEFT, FORWARD, RIGHT, FORWARD, FORWARD, FORWARD, FORWARD, RIGHT],
        [FORWARD, LEFT, FORWARD, RIGHT, FORWARD, FORWARD, FORWARD, RIGHT],
    )


def test_things_of_one_name_are_numbered_from_near_to_far():
    view = look(OPEN, Pose(1, 1, EAST), None)
    text = describe(view, None)
    assert "There is a red ball 1 2 steps in front of you and 1 steps to your right." in text
    assert "There is a red ball 2 3 steps in front of you and 3 steps to your right." in text
    targets = offers(view, None).targets
    assert targets["go to red ball 1"].position == (3, 2)
    assert targets["pickup red ball 2"].position == (4, 4)


def test_hands_that_are_full_take_nothing_and_may_drop():
    moves = offers(look(OPEN, Pose(1, 1, EAST), None), Thing("key", "blue")).moves
    assert "drop" in moves
    assert not any(action.startswith("pickup") for action in moves)


def test_a_shut_door_right_ahead_can_be_toggled():
    moves = offers(look(SHUT, Pose(2, 1, EAST), None), None).moves
    assert "toggle" in moves
    assert "toggle" not in offers(look(SHUT, Pose(1, 1, EAST), None), None).moves
    assert "toggle and go through red closed door 1" in moves
