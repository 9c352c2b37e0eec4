"""The report: every number is the JSON's own, hostile text stays text, what is missing is left out."""

import json
import random
import re
import shutil
import string
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from affine_trainer.config import Config
from affine_trainer.envs import task_set
from affine_trainer.errors import DataError, StageError
from affine_trainer.records import Grade
from affine_trainer.report.episode_chunks import note_of, pack_episodes, reason_of, unpack
from affine_trainer.report.episodes import EpisodeFile, read_episode_file
from affine_trainer.report.headline import headline
from affine_trainer.report.page import published_results
from affine_trainer.report.run_files import read_run
from affine_trainer.report.traced import (
    count,
    duration,
    p_value,
    percent,
    points,
    probability,
    short,
)
from affine_trainer.stages.report import posed, report, task_prompts
from tests.evaluations import episode
from tests.report_run import HOSTILE, plays, value_at, write_comparison, write_model, write_run

FORMS = (percent, points, probability, p_value, count, short, duration)


@dataclass
class Page(HTMLParser):
    """What a browser finds in the page: numbers with their places, ids, links, scripts, visible text."""

    numbers: list[tuple[str, str, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    hrefs: list[str] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    text: str = ""
    open_tags: list[tuple[str, dict]] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.open_tags.append((tag, values))
        self.classes += (values.get("class") or "").split()
        self.ids += [values["id"]] if "id" in values else []
        self.hrefs += [values[name] for name in ("href", "src") if name in values]

    def handle_data(self, data):
        tag, values = self.open_tags[-1] if self.open_tags else ("", {})
        if tag == "data":
            self.numbers.append((values["data-from"], values["value"], data))
        if tag == "script":
            self.scripts[values.get("id", "")] = self.scripts.get(values.get("id", ""), "") + data
        elif tag != "style":
            self.text += data

    def handle_endtag(self, tag):
        while self.open_tags and self.open_tags.pop()[0] != tag:
            pass


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_run()
        report(Config(run="small"), figures=folder / "figures", tables=folder / "tables")
    return folder


@pytest.fixture
def page(run_folder, monkeypatch):
    monkeypatch.chdir(run_folder)
    found = Page()
    found.feed(Path("logs/small/report/report.html").read_text(encoding="utf-8"))
    return found


def test_every_number_is_the_jsons_own_and_is_shown_in_one_of_its_forms(page):
    assert len(page.numbers) > 250
    for where, exact, shown in page.numbers:
        value = value_at(where)
        assert json.loads(exact) == value, where
        assert shown in {form(value) for form in FORMS}, (where, shown)


def test_the_numbers_come_from_every_kind_of_file(page):
    files = {Path(where.partition("#")[0]).name for where, _, _ in page.numbers}
    assert files >= {"comparison.json", "evaluation.json", "events.jsonl", "audit.json", "manifest.json",
                     "diagnostics.json", "experiment.json"}  # fmt: skip


def test_the_verdict_comes_first_and_says_who_by_how_much_and_how_sure(page):
    body = page.text[page.text.index("rl is better than base") :]
    assert (
        body.index("points of macro success") < body.index("how sure") < body.index("Environments by model")
    )
    macro = json.loads(Path("logs/small/compare/comparison.json").read_text())["baselines"]["base"]["macro"]
    assert f"{points(macro['lower'])} to {points(macro['upper'])}" in re.sub(r"\s+", " ", body)


def test_all_sections_are_there_and_every_link_within_the_page_leads_somewhere(page):
    assert {"verdict", "environments", "paired", "episodes", "training", "cost", "data", "lineage"} <= set(
        page.ids
    )
    assert len(page.ids) == len(set(page.ids))
    assert all(href[1:] in page.ids for href in page.hrefs if href.startswith("#"))
    for words in ("jeffreys-2025-10", "SFT loss", "Explained variance", "At equal tokens", "At equal time",
                  "arXiv 2410.01679", "not comparable", "no leak", "Advantages by estimator",
                  "Monte Carlo, 9 plays"):  # fmt: skip
        assert words in page.text


def squeezed(text):
    return re.sub(r"\s+", " ", text)


def test_a_newcomer_is_told_what_is_asked(page):
    assert "satisfy a logical formula · n = 20" in squeezed(page.text)


def test_the_macro_row_comes_last_and_apart(page):
    text = squeezed(page.text)
    forest = text[text.index("Environments by model") : text.index("From model to model")]
    assert forest.index("agentgym:webshop") < forest.index("unseen families, outside") < forest.index("macro")
    paired = text[text.index("rl minus base") : text.index("All figures of rl against base")]
    assert paired.index("unseen families") < paired.index("macro")
    assert page.classes.count("macro") == 1 + 1 + 2 * 2  # forest, table, and two a baseline
    assert "Differences of success in percentage points" in text and "Share of tasks solved, in %" in text


def test_tokens_of_rl_and_of_every_evaluation_are_counted(page):
    shown = {where: text for where, _, text in page.numbers}
    assert shown["logs/small/rl/events.jsonl#sum:rl/tokens"] == "3,000"
    for label in ("base", "sft", "rl"):
        place = f"logs/small/eval/{label}/evaluation.json#/usage"
        assert shown[f"{place}/completion_tokens"] == f"{300 + len(label)}"
        assert shown[f"{place}/prompt_tokens"] == f"{1200 + len(label):,}"


def test_a_run_whose_best_model_is_that_before_rl_says_so(page):
    assert "validation was best at iteration 0, before RL had changed anything" in squeezed(page.text)


def test_what_is_missing_names_the_command_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = {}
    for run in ("default", "bare"):
        write_run(run)
        for leaf in ("audit", "diagnostics", "plan"):
            shutil.rmtree(Path("logs", run, leaf), ignore_errors=True)
        text = report(Config(run=run)).read_text(encoding="utf-8")
        commands[run] = {line for line in re.findall(r"<code>(affine .*?)</code>", text)}
    assert commands["default"] >= {"affine audit", "affine diagnose", "affine plan"}
    assert commands["bare"] >= {
        "affine audit --run bare",
        "affine diagnose --run bare",
        "affine plan --run bare",
    }


def test_the_chance_to_win_stands_by_rule_and_order_with_the_samples_that_would_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run("default")
    row = {"scoring": "duel-2026-06", "committed": "last", "win": 0.5684, "lose": 0.4316, "neither": 0.0}
    row |= {"standard_error": 0.00495, "on_these_results": "wins", "share_on_these_results": 1.0}
    rows = [row | {"further_samples": {"win": win, "lose": None, "neither": None}} for win in (1024, None)]
    folder = Path("logs", "default", "plan")
    folder.mkdir(exist_ok=True)
    plan = {"candidate": "rl", "baseline": "base", "samples_evaluated": 200, "plans": rows}
    (folder / "plan.json").write_text(json.dumps(plan))
    found = Page()
    found.feed(report(Config(run="default")).read_text(encoding="utf-8"))
    text = squeezed(found.text).replace(" ", "")
    table = text[text.index("furthersamplestowin") :]
    assert table.startswith("furthersamplestowinduel-2026-06lastwins56.8%43.2%0.5%1,024duel-2026-06")
    assert "0.5%–" in table[:150]


def test_published_results_stand_beside_what_the_run_reached(page):
    text = squeezed(page.text)
    published = text[text.index("Beside published results") :]
    place = published.index("Success in WebShop, PPO with a critic")
    assert "68.7 ± 5.1 %rl 100.0 % of 1" in published[place : place + 120]
    for row in published_results():
        assert row.keys() >= {"what", "value", "protocol", "n", "source", "comparable", "why"}


def test_the_headline_of_the_page_is_that_of_the_comparison(page):
    results = json.loads(Path("logs/small/compare/comparison.json").read_text())["baselines"]
    line = headline("rl", results, Config().sampling.decision_probability)
    assert line.startswith("rl ") and " base " in line and line in squeezed(page.text)


def test_the_list_says_why_a_play_failed_and_nothing_that_all_solved_ones_share():
    failed = replace(
        episode("affine:sat@small/1"), grade=Grade(0.0, False, "3 of 18 clauses are not satisfied")
    )
    solved = replace(failed, grade=Grade(1.0, True, "all 18 clauses are satisfied"))
    assert note_of(failed) == "3 of 18 clauses are not satisfied" and note_of(solved) == ""
    assert reason_of(failed) == "# of # clauses are not satisfied" and reason_of(solved) == "solved"
    assert note_of(replace(failed, grade=None, error="no answer\nfrom the server")) == "no answer"


def test_nothing_is_loaded_from_anywhere(page):
    assert [href for href in page.hrefs if not href.startswith("#")] == []
    text = Path("logs/small/report/report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert re.findall(r"url\((?!#)|@import|fetch\(", text) == []


def test_hostile_text_of_an_episode_is_only_in_the_packed_chunks(page):
    text = Path("logs/small/report/report.html").read_text(encoding="utf-8")
    assert HOSTILE not in text and "onerror" not in text
    chunk = unpack(page.scripts["chunk-0"])
    replies = [turn[1] for task in chunk for play in task["plays"].values() for turn in play["turns"]]
    assert f"click {HOSTILE}" in replies


def test_a_hostile_label_or_a_rejection_is_escaped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config(run="odd")
    for label, solved in (("a<b>&'\"", 14), ("base", 5)):
        write_model("odd", label, plays(label, solved), config)
    write_comparison("odd", "a<b>&'\"", ("base",), config)
    text = report(config).read_text(encoding="utf-8")
    assert "a<b>" not in text
    assert "a&lt;b&gt;&amp;&#39;&#34;" in text


def test_the_viewer_holds_every_play_with_prompt_turns_and_verdict(page):
    index = unpack(page.scripts["index"])
    assert index["models"] == ["base", "sft", "rl"]
    assert len(index["task"]) == 3 * 24 and set(index["outcome"]) == {0, 1, 2}
    assert "affine:ded (unseen families)" in index["environments"]
    task = unpack(page.scripts["chunk-0"])[index["keys"].index("affine:sat@small/0")]
    assert task["plays"]["2"]["why"] == "as the test says" and task["plays"]["2"]["turns"][0][1] == "x1=True"


def test_prompts_are_posed_again_from_the_task_key_and_only_if_the_problem_is_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config(run="asked")
    task = task_set("affine:sat", "small", config=config, sandbox=None).tasks([0])[0]
    found = [replace(play, content_sha256=task.content_sha256) if play.task_key == task.key else play
             for play in plays("base", 5)]  # fmt: skip
    write_model("asked", "base", found, config)
    run = read_run("asked")
    prompts = task_prompts(config, [run], {"base": read_episode_file(run.episodes["base"])})
    assert prompts == {task.key: [(message.role, message.content) for message in task.prompt]}


def test_long_texts_are_cut_so_that_the_page_keeps_its_size():
    found, rng = {}, random.Random(0)
    for number in range(40):
        play = episode(f"affine:sat@small/{number}")
        play.turns[0].reply = "".join(rng.choices(string.ascii_letters, k=30_000))
        found[play.task_key] = play
    file = EpisodeFile(Path("episodes.jsonl"), found, dict.fromkeys(found, 1))
    packed = pack_episodes({"base": file}, {}, max_characters=40_000)
    assert packed.text_limit is not None and packed.characters <= 40_000
    reply = unpack(packed.chunks[0])[0]["plays"]["0"]["turns"][0][1]
    assert "characters left out" in reply and len(reply) < packed.text_limit + 60
    assert pack_episodes({"base": file}, {}).text_limit is None


def test_ten_thousand_episodes_fit_into_fifteen_megabytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config(run="big")
    for label, solved in (("base", 1000), ("sft", 2000), ("rl", 2500)):
        write_model("big", label, plays(label, solved, 3400), config)
    path = report(config)
    assert 100_000 < path.stat().st_size <= 15_000_000


def test_figures_tables_and_text_are_written(run_folder):
    figures = {path.name for path in (run_folder / "figures").iterdir()}
    for name in (
        "environments",
        "rl_minus_base",
        "sft_loss",
        "rl_kl",
        "advantages_best-2_estimator",
        "calibration_best-2",
    ):
        assert {f"{name}.svg", f"{name}.png"} <= figures
    assert (run_folder / "figures" / "environments.png").read_bytes().startswith(b"\x89PNG")
    assert "#010203" not in (run_folder / "figures" / "environments.svg").read_text()
    latex = (run_folder / "tables" / "rl_against_base.tex").read_text()
    assert latex.count(r"\\") == 5 and r"affine:sat & 20 & 25.0 \% & 70.0 \% & +45.0" in latex
    assert "| wide | 0.625 |" in (run_folder / "tables" / "clip_1.md").read_text()
    text = (run_folder / "logs/small/report/summary_report.txt").read_text()
    assert text.index("rl is better than base") < text.index("evaluation of rl") < text.index("Folders")


def test_the_csv_of_advantages_holds_every_bin_and_ends_at_one(run_folder):
    lines = (run_folder / "logs/small/report/advantages.csv").read_text().splitlines()
    assert lines[0] == "run,weights,of,step,outcome,lower,upper,count,cumulative_share"
    assert len(lines) == 1 + 6 * 2 and lines[2].endswith(",6,1.0")
    assert not (run_folder / "logs/small/report/values.csv").exists()


def test_the_csv_of_calibration_holds_every_state_under_each_value(run_folder):
    lines = (run_folder / "logs/small/report/calibration.csv").read_text().splitlines()
    assert lines[0].startswith("run,weights,of,task,turn") and len(lines) == 1 + 2 * 3
    assert lines[-1] == "small,best-2,monte_carlo,affine:sat@small/1,1,9,0.75,0.5,0.0625,64"


def test_several_runs_share_a_page_with_their_config_differences(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run("one")
    write_run("two", Config(run="two", seed=7))
    found = Page()
    found.feed(report(Config(), ("one", "two"), output=tmp_path / "both.html").read_text(encoding="utf-8"))
    assert unpack(found.scripts["index"])["models"] == [
        f"{r}/{m}" for r in ("one", "two") for m in ("base", "sft", "rl")
    ]
    assert re.search(r"Config differences\s*key\s*one\s*two\s*seed\s*0\s*7", found.text)
    looks = json.loads(found.scripts["looks"])
    assert looks["one/rl"] == looks["two/rl"] != looks["one/sft"]


def test_a_run_that_only_trained_has_a_page_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run("young")
    for leaf in ("eval", "compare"):
        shutil.rmtree(Path("logs/young", leaf))
    text = report(Config(run="young")).read_text(encoding="utf-8")
    assert "nothing evaluated yet" in text and "SFT loss" in text


def test_what_cannot_be_shown_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match="there is no run 'nowhere'"):
        report(Config(), ("nowhere",))
    Path("logs/begun/eval").mkdir(parents=True)
    with pytest.raises(StageError, match=r"run 'begun' has no finished stage yet.*`affine run`"):
        report(Config(), ("begun",))
    write_run("torn")
    Path("logs/torn/compare/comparison.json").write_text("{")
    with pytest.raises(DataError, match=r"comparison\.json, line 1"):
        report(Config(run="torn"))


def test_every_sample_of_a_task_shows_its_prompt():
    keys = ["affine:sat@small/3", "affine:sat@small/3#1", "affine:sat@small/3#2"]
    [task] = task_set("affine:sat", "small", config=Config(), sandbox=None).tasks([3])
    hashes = dict.fromkeys(keys, task.content_sha256) | {keys[2]: "of another task"}
    found = posed(Config(), "affine:sat", "small", keys, hashes)
    assert list(found) == keys[:2]
    assert found[keys[1]] == [(message.role, message.content) for message in task.prompt]
