"""Task indices are AgentGym's levels and seeds, contents hardly ever repeat, and the import costs nothing."""

import subprocess
import sys

import pytest

from affine_trainer.envs.babyai import LEVELS, RULES, RULES_SHORT, BabyAIGames
from affine_trainer.envs.splits import SPLIT_RANGES
from affine_trainer.errors import AffineError
from affine_trainer.records import sha256_of

GAMES = BabyAIGames()


def test_an_index_is_level_modulo_forty_and_seed_above():
    assert GAMES.info(0).kind == "GoToRedBallGrey"
    assert GAMES.info(39).kind == "BossLevelNoUnlock"
    assert GAMES.info(40 * 7 + 3).content["mission"] == "go to the green key"
    assert GAMES.info(40 * 7 + 3).kind == "GoToObjS6"


def test_contents_hardly_ever_repeat():
    indices = GAMES.indices("evaluation", 400, 0)
    assert len({sha256_of(GAMES.info(index).content) for index in indices}) >= 396


def test_info_is_a_function_of_the_index_with_difficulty_between_zero_and_one():
    infos = [GAMES.info(index) for index in range(len(LEVELS))]
    assert infos == [GAMES.info(index) for index in range(len(LEVELS))]
    assert all(0.0 <= info.difficulty < 1.0 for info in infos)
    assert infos[1].difficulty < infos[38].difficulty


@pytest.mark.parametrize("split", SPLIT_RANGES)
def test_indices_of_chosen_levels_lie_in_their_split_and_begin_alike(split):
    games = BabyAIGames(levels=(3, 10, 19))
    drawn = games.indices(split, 50, 3)
    assert len(set(drawn)) == 50
    assert drawn[:20] == games.indices(split, 20, 3)
    assert {index % 40 + 1 for index in drawn} == {3, 10, 19}
    assert all(index in SPLIT_RANGES[split] for index in drawn)


def test_levels_that_do_not_exist_or_were_not_chosen_are_refused():
    for levels in ((), (0, 3), (41,)):
        with pytest.raises(AffineError, match=r"1\.\.40"):
            BabyAIGames(levels=levels)
    with pytest.raises(AffineError, match="not among"):
        BabyAIGames(levels=(3,)).start(0)
    with pytest.raises(AffineError):
        GAMES.start(-1)


def test_an_index_is_the_same_task_whatever_the_other_levels_are():
    assert BabyAIGames(levels=(3,)).start(42).observe() == GAMES.start(42).observe()


def test_rules_name_every_action_and_stay_short():
    assert len(RULES) <= 1200
    assert len(RULES_SHORT) <= 120
    verbs = ("turn left", "turn right", "move forward", "go to", "pickup", "drop", "toggle and go through")
    assert all(
        verb in RULES
        for verb in (*verbs, "check available actions", "open door", "closed door", "locked door")
    )


def test_importing_the_package_loads_no_simulator_and_starting_a_game_prints_nothing():
    program = (
        "import sys\n"
        "from affine_trainer.envs.babyai import BabyAIGames\n"
        "games = BabyAIGames()\n"
        "assert not {'minigrid', 'pygame', 'gymnasium'} & set(sys.modules)\n"
        "games.start(16), games.start(17)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
