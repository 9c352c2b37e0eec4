"""The list of games is the AgentGym server's, and the splits are the simulator's."""

import pytest

from affine_trainer.envs.sciworld import SciWorldGames
from affine_trainer.envs.sciworld.table import TASKS, game_at, indices_of, variations_of
from affine_trainer.envs.sciworld.world import INTERFACE
from affine_trainer.errors import AffineError
from affine_trainer.records import sha256_of

SPLITS = ("pretrain", "train", "validation", "evaluation")


def test_the_list_has_4639_games_in_the_servers_order():
    assert sum(task.num_variations for task in TASKS) == 4_639
    assert game_at(0) == (TASKS[0], 0)
    assert (game_at(29)[0].name, game_at(30)[0].name, game_at(30)[1]) == ("boil", "melt", 0)
    assert game_at(4_638) == (TASKS[-1], 9)


@pytest.mark.parametrize("index", [-1, 4_639])
def test_an_index_outside_the_list_is_refused(index):
    with pytest.raises(AffineError, match=r"0\.\.4638"):
        game_at(index)


def test_every_game_belongs_to_exactly_one_split():
    together = [index for split in SPLITS for index in indices_of(split)]
    assert sorted(together) == list(range(4_639))


def test_every_task_is_in_every_split():
    for split in SPLITS:
        assert {game_at(index)[0].name for index in indices_of(split)} == {task.name for task in TASKS}


def test_the_splits_are_the_simulators_own(games, start):
    start(0)
    jvm = games._pool.jvm()
    interface = jvm.new(INTERFACE)
    for task in (TASKS[0], TASKS[9], TASKS[18], TASKS[21], TASKS[22]):  # every shape of remainder
        jvm.call(interface, "load", task.name, 0, "", False)
        sets = [
            [
                int(v)
                for v in jvm.call(jvm.call(interface, f"getVariations{name}"), "toString")[1:-1].split(", ")
            ]
            for name in ("Train", "Dev", "Test")
        ]
        ours = {split: list(variations_of(split, task.num_variations)) for split in SPLITS}
        assert sets == [ours["train"] + ours["pretrain"], ours["validation"], ours["evaluation"]]
    jvm.free(interface)


def test_the_simulator_has_as_many_variations_as_the_table(games, start):
    start(0)
    jvm = games._pool.jvm()
    interface = jvm.new(INTERFACE)
    for task in TASKS:
        assert jvm.call(interface, "getTaskMaxVariations", task.name) == task.num_variations, task.name
    jvm.free(interface)


def test_fewer_indices_are_a_prefix_and_another_seed_gives_another_order():
    games = SciWorldGames()
    many = games.indices("train", 500, 3)
    assert games.indices("train", 50, 3) == many[:50]
    assert games.indices("train", 500, 4) != many
    assert games.indices("train", 500, 3) == many


def test_more_games_than_a_split_holds_are_refused():
    games = SciWorldGames()
    everything = len(indices_of("evaluation"))
    assert len(set(games.indices("evaluation", everything, 0))) == everything
    with pytest.raises(AffineError, match=f"{everything} evaluation tasks; asked for {everything + 1}"):
        games.indices("evaluation", everything + 1, 0)


def test_a_thousand_games_have_a_thousand_contents_and_need_no_java():
    games = SciWorldGames()
    infos = [games.info(index) for index in games.indices("train", 1_000, 0)]
    assert len({sha256_of(info.content) for info in infos}) == 1_000
    assert all(0 < info.difficulty <= 1 for info in infos)
    assert games.pids == []
