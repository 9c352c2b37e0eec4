"""The expert reads pages only, buys what was asked for every time, and seldom needs more than ten rounds."""

import itertools
import statistics
import time

import pytest

from affine_trainer.envs.webshop import WebShopGames

GAMES = WebShopGames()


def episode(index, games=GAMES):
    """Observations, moves and progress of one expert play, to its end."""
    game = games.start(index)
    expert = games.expert(game)
    pages, moves, ahead = [game.observe()], [], [game.progress]
    while len(moves) < 40:
        moves.append(expert.move(pages[-1]))
        outcome = game.act(moves[-1].action)
        pages.append(outcome.observation)
        ahead.append(game.progress)
        if outcome.done:
            break
    return game, pages, moves, ahead


@pytest.mark.parametrize("split", ["evaluation", "validation", "train", "pretrain"])
def test_it_always_buys_what_was_asked_for_and_mostly_within_ten_rounds(split):
    plays = [episode(index) for index in GAMES.indices(split, 400, 5)]
    rounds = [len(moves) for _, _, moves, _ in plays]
    assert all(game.success for game, *_ in plays)
    assert sum(number <= 10 for number in rounds) >= 0.9 * len(rounds)
    assert 4 <= statistics.median(rounds) <= 6


@pytest.mark.parametrize("page_size", [1, 3, 10])
def test_it_copes_with_pages_of_any_size(page_size):
    games = WebShopGames(page_size)
    assert all(episode(index, games)[0].success for index in games.indices("train", 60, 6))


def test_it_remembers_the_instruction_where_pages_do_not_repeat_it():
    games = WebShopGames(repeats_instruction=False)
    plays = [episode(index, games) for index in games.indices("train", 60, 13)]
    assert all(game.success for game, *_ in plays)
    assert all("Instruction:" not in page for _, pages, _, _ in plays for page in pages[1:])


def test_its_actions_are_short_and_always_do_something():
    for index in GAMES.indices("train", 100, 7):
        _, pages, moves, _ = episode(index)
        assert all(len(move.action.split()) <= 16 for move in moves)
        for page, move in zip(pages, moves, strict=False):
            assert move.action.startswith("search[") or move.action[6:-1] in page


def test_its_thoughts_are_short_and_vary():
    moves = [move for index in GAMES.indices("train", 100, 8) for move in episode(index)[2]]
    assert max(len(move.thought) for move in moves) <= 90
    assert len({move.thought for move in moves if move.action == "click[Buy Now]"}) == 3


def test_the_same_task_is_played_the_same_way_again():
    for index in GAMES.indices("train", 30, 9):
        assert episode(index)[1:] == episode(index)[1:]


def test_progress_rises_along_its_path_to_one():
    for index in GAMES.indices("train", 100, 10):
        _, _, moves, ahead = episode(index)
        assert ahead[0] == 0.0 and ahead[-1] == 1.0
        turned_back = sum(move.action in ("click[< Prev]", "click[Next >]") for move in moves)
        assert sum(after < before for before, after in itertools.pairwise(ahead)) <= turned_back


def test_pages_and_episodes_are_short():
    plays = [episode(index) for index in GAMES.indices("train", 200, 11)]
    lengths = [len(page) for _, pages, _, _ in plays for page in pages]
    assert max(lengths) <= 700
    assert statistics.mean(lengths) <= 420


def test_three_hundred_steps_take_a_second_at_most():
    start, steps = time.process_time(), 0
    for index in GAMES.indices("validation", 100, 12):
        steps += len(episode(index)[2])
    assert steps / (time.process_time() - start) >= 300
