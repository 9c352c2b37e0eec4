"""Shrinking of drawn inputs by the random choices behind them."""

from __future__ import annotations

from random import Random

from affine_trainer.envs.programs.shrink import MAX_RUNS, RecordedRandom, ReplayedRandom, simplest_input


def numbers(rng: Random) -> str:
    return " ".join(str(rng.randint(5, 90)) for _ in range(rng.randint(1, 8)))


def recorded(seed: int) -> tuple[str, list[int]]:
    rng = RecordedRandom(Random(seed))
    return numbers(rng), rng.made


def test_a_recorded_draw_is_the_sources_own_and_replays_exactly() -> None:
    for seed in range(50):
        text, choices = recorded(seed)
        assert text == numbers(Random(seed))
        assert text == numbers(ReplayedRandom(choices))


def test_choices_that_run_out_are_zeros_and_stay_in_range() -> None:
    assert numbers(ReplayedRandom([])) == "5"
    assert numbers(ReplayedRandom([1])) == "5 5"


def test_what_does_not_matter_goes() -> None:
    for seed in range(50):
        text, choices = recorded(seed)

        def same_largest(stdin: str, text: str = text) -> bool:
            return max(map(int, stdin.split())) == max(map(int, text.split()))

        found = simplest_input(choices, numbers, same_largest)
        assert same_largest(found)
        assert len(found.split()) <= max(1, len(text.split()) // 2)


def test_an_input_that_alone_fits_stays() -> None:
    text, choices = recorded(3)
    assert simplest_input(choices, numbers, lambda stdin: stdin == text) == text


def test_the_search_is_short() -> None:
    _, choices = recorded(1)
    asked: list[str] = []

    def never(stdin: str) -> bool:
        asked.append(stdin)
        return False

    simplest_input(choices * 50, numbers, never)
    assert len(asked) <= MAX_RUNS
    assert len(set(asked)) == len(asked)
