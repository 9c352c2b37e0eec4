"""Tables: what a reader sees of a summary and of a comparison."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from affine_trainer.config import Config
from affine_trainer.leaks.summary import audit_tables
from affine_trainer.report.comparison import points
from affine_trainer.report.episodes import group_by_environment
from affine_trainer.report.pairing import read_evaluation
from affine_trainer.report.replay_table import replay_caption, replay_table
from affine_trainer.report.summary import summarise
from affine_trainer.report.tables import comparison_markdown, comparison_table, evaluation_table, percent
from affine_trainer.report.verdict import compare_all
from tests.evaluations import episodes, write_evaluation

SAMPLING = Config().sampling


NAMES = ("babyai", "sciworld", "textcraft", "alfworld", "webshop")


def shown(table, width=160):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def row(text, name):
    (line,) = [line for line in text.splitlines() if f" {name} " in f" {line}"]
    return line


def comparison(tmp_path: Path):
    mine = {"affine:sat@small": [True] * 30 + [False] * 10, "affine:ded@heldout-v1": [True, False]}
    theirs = {"affine:sat@small": [True] * 10 + [False] * 30, "affine:ded@heldout-v1": [False, False]}
    rl, base = (
        read_evaluation(write_evaluation(tmp_path / label, episodes(outcomes), Config()), label)
        for label, outcomes in (("rl", mine | {}), ("base|odd", theirs | {}))
    )
    return compare_all(rl, [base], SAMPLING)


def test_the_evaluation_table_shows_the_trivial_policies_beside_the_model():
    trivial = {"all-true": group_by_environment(episodes({"affine:sat@small": [True, False, False, False]}))}
    plays = group_by_environment(
        episodes({"affine:sat@small": [True, True, True, None], "affine:ded@heldout-v1": [False]})
    )
    text = shown(evaluation_table(summarise(plays, SAMPLING, trivial), "rl"))
    line = row(text, "affine:sat")
    assert "100.0 %" in line and "all-true 25.0 %" in line
    assert "affine:ded (unseen families)" in text
    assert "100.0 %" in row(text, "macro")


def test_an_evaluation_without_a_grade_is_shown_with_dashes():
    plays = group_by_environment(episodes({"affine:sat@small": [None]}))
    assert "–" in row(shown(evaluation_table(summarise(plays, SAMPLING), "rl")), "affine:sat")


def test_the_comparison_table_has_a_row_an_environment_then_macro_then_unseen(tmp_path):
    text = shown(comparison_table(comparison(tmp_path), "base|odd"))
    assert "+50.0" in row(text, "affine:sat")
    assert text.index("affine:sat") < text.index("macro") < text.index("(unseen families)")


def test_the_markdown_tables_have_as_many_cells_in_every_row(tmp_path):
    text = comparison_markdown(comparison(tmp_path))
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in rows] == [9] * 5 + [8] * 14  # 6 profiles, two orders, two heads
    assert text.count("rl is better than base") == 1
    assert "Verdict: **dominates**" in text


@pytest.fixture
def interactive(tmp_path):
    """Two evaluations of the five interactive environments and one with a slice, with room for nothing."""
    outcomes = {f"agentgym:{name}@embedded": [True, False] * 20 for name in NAMES}
    outcomes |= {"affine:ded@generated-v1": [True] * 40, "affine:ded@heldout-v1": [False] * 3}
    return [
        read_evaluation(write_evaluation(tmp_path / label, episodes(outcomes), Config()), label)
        for label in ("candidate-one", "base")
    ]


def names_in(text):
    return [line.split()[0] for line in text.splitlines() if line.split() and line[0] != " "]


def test_a_narrow_comparison_loses_the_prefixes_and_no_letter_of_a_name(interactive):
    compared = compare_all(interactive[0], interactive[1:], SAMPLING)
    narrow, wide = (shown(comparison_table(compared, "base"), width) for width in (80, 160))
    assert {*NAMES, "ded", "macro"} <= set(names_in(narrow))
    assert "…" not in narrow and ":" not in narrow
    assert {f"agentgym:{name}" for name in NAMES} <= set(names_in(wide))


def test_a_narrow_evaluation_loses_the_prefixes_and_no_letter_of_a_name(interactive):
    plays = group_by_environment(list(interactive[0].file.episodes.values()))
    policies = {"a-policy-that-does-nothing": plays, "random-action": plays}
    text = shown(evaluation_table(summarise(plays, SAMPLING, policies), "rl"), 80)
    assert {*NAMES, "ded", "macro"} <= set(names_in(text))
    assert "…" not in text and ":" not in text


def test_a_narrow_leak_report_breaks_no_name():
    held = [
        {"tasks": f"agentgym:{name}@embedded", "place": "data/default/tasks.json (validation)",
         "problems": 1000, "leaks": 0, "near_duplicates": 1000, "near_share": 1.0}
        for name in NAMES
    ]  # fmt: skip
    (table,) = audit_tables({"held": held, "findings": [], "public_ids": []})
    assert {f"{name}@embedded" for name in NAMES} <= set(names_in(shown(table, 80)))
    assert {f"agentgym:{name}@embedded" for name in NAMES} <= set(names_in(shown(table, 160)))


def test_the_replay_says_what_its_columns_count_and_gives_a_share_of_all_models_once_an_order(tmp_path):
    outcomes = {"affine:sat@small": [True] * 30 + [False] * 10}
    rl, base, sft = (
        read_evaluation(write_evaluation(tmp_path / label, episodes(outcomes), Config()), label)
        for label in ("rl", "base", "sft")
    )
    compared = compare_all(rl, [base, sft], SAMPLING)
    lines = shown(replay_table(compared, ["duel-2026-06"])).splitlines()
    assert lines[1].strip().split("  ")[-3:] == ["envs won", "envs lost", "share of 3"]
    rows = [line.split() for line in lines if line.startswith("duel")]
    assert [row[-1].endswith("%") for row in rows] == [True, False, True, False]
    for heading in ("verdict", "envs won", "envs lost", "share of 3"):
        assert heading in replay_caption(compared)
    assert replay_caption(compared) in comparison_markdown(compared)


def test_points_always_carry_a_sign_and_never_a_negative_zero():
    assert [points(x) for x in (0.2134, -0.05, 0.0, -0.0001)] == ["+21.3", "-5.0", "+0.0", "+0.0"]


def test_a_share_that_is_unknown_is_a_dash():
    assert (percent(None), percent(0.125)) == ("–", "12.5 %")


def test_a_long_label_is_named_in_the_title_and_leaves_the_columns_room(tmp_path):
    compared = comparison(tmp_path)
    compared["candidate"]["label"] = "logs/other/eval/models-mine-rl_best"
    text = shown(comparison_table(compared, "base|odd"))
    assert "logs/other/eval/models-mine-rl_best against base|odd" in text
    assert "line    date  points" in text
