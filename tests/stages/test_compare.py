"""`affine compare`: the verdict from two evaluations, and a sentence for everything that does not fit."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from affine_trainer.config import load_config
from affine_trainer.errors import DataError, StageError
from affine_trainer.report.folders import comparison_folder
from affine_trainer.stages.compare import compare
from tests.evaluations import episode, episodes, write_evaluation

CONFIG = load_config(None, ["sampling.epsilon=0.0"])
SAT, ABD, DED = "affine:sat@small", "affine:abd@generated-v1", "affine:ded@generated-v1"
EPISODES = "logs/default/eval/{}/episodes.jsonl"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def evaluated(label, outcomes, **options):
    return write_evaluation(Path("logs/default/eval", label), episodes(outcomes), CONFIG, **options)


def outcomes(rate, *names, seed=0, count=300):
    """Success of each task at `rate`; a higher rate solves all that a lower one solves."""
    generator = np.random.default_rng(seed)
    return {name: [bool(draw < rate) for draw in generator.uniform(size=count)] for name in names}


def result(baselines=("base",), candidate="rl", **options):
    folder = compare(CONFIG, candidate, baselines, **options)
    return json.loads((folder / "comparison.json").read_text())


def test_a_better_model_dominates_and_the_sentence_says_so(capsys):
    evaluated("rl", outcomes(0.5, SAT, ABD, DED))
    evaluated("base", outcomes(0.2, SAT, ABD, DED))
    found = result()["baselines"]["base"]
    macro = found["macro"]
    assert found["verdict"] == "dominates"
    assert 0 < macro["lower"] < macro["difference"] < macro["upper"]
    assert found["sentence"] == (
        f"rl is better than base: macro success +{100 * macro['difference']:.1f} points (80 % interval "
        f"+{100 * macro['lower']:.1f} to +{100 * macro['upper']:.1f}, n=900 shared tasks); "
        "it dominates in all 3 environments."
    )
    printed = " ".join(capsys.readouterr().out.split())
    assert found["sentence"] in printed
    assert "comparison.md" in printed


def test_the_figures_of_an_environment_follow_from_its_episodes():
    evaluated("rl", {SAT: [True] * 40 + [False] * 10})
    evaluated("base", {SAT: [True] * 25 + [False] * 20 + [True] * 5})
    entry = result()["baselines"]["base"]["per_environment"]["affine:sat"]
    assert (entry["both"], entry["only_candidate"], entry["only_baseline"], entry["neither"]) == (
        25,
        15,
        5,
        5,
    )
    assert (entry["candidate"], entry["baseline"]) == (0.8, 0.6)
    assert entry["difference"] == pytest.approx(0.2)
    assert entry["mcnemar_p"] == pytest.approx(0.0413894653, abs=1e-9)
    assert entry["mcnemar_p_holm"] == entry["mcnemar_p"]


def test_p_values_are_corrected_over_the_environments_of_one_comparison():
    evaluated("rl", {SAT: [True] * 9 + [False], ABD: [True] * 6 + [False] * 4})
    evaluated("base", {SAT: [False] * 10, ABD: [False] * 10})
    entries = result()["baselines"]["base"]["per_environment"]
    assert entries["affine:sat"]["mcnemar_p_holm"] == pytest.approx(2 * 2 / 2**9)
    assert entries["affine:abd"]["mcnemar_p_holm"] == pytest.approx(2 / 2**6)


def test_the_probability_of_being_better_is_the_beta_tail_of_the_discordant_tasks():
    evaluated("rl", {SAT: [True] * 5 + [False] * 5})
    evaluated("base", {SAT: [True] * 3 + [False] * 6 + [True]})
    entry = result()["baselines"]["base"]["per_environment"]["affine:sat"]
    assert entry["probability_better"] == pytest.approx(beta.sf(0.5, 2.5, 1.5), abs=0.02)
    assert entry["probability_better"] + entry["probability_worse"] == pytest.approx(1.0)


def test_a_worse_model_is_dominated():
    evaluated("rl", outcomes(0.2, SAT, ABD))
    evaluated("base", outcomes(0.5, SAT, ABD))
    found = result()["baselines"]["base"]
    assert found["verdict"] == "dominated"
    assert found["sentence"].startswith("rl is worse than base: macro success -")
    assert found["sentence"].endswith("it is dominated in all 2 environments.")


def test_only_environments_that_are_clearly_better_are_counted_as_better():
    evaluated("rl", outcomes(0.5, SAT, ABD) | {DED: [True] * 5 + [False] * 295})
    evaluated("base", outcomes(0.2, SAT, ABD) | {DED: [False] * 300})
    folder = compare(load_config(None, ["sampling.epsilon=0.01"]), "rl", ("base",))
    found = json.loads((folder / "comparison.json").read_text())["baselines"]["base"]
    entry = found["per_environment"]["affine:ded"]
    assert found["verdict"] == "dominates"
    assert entry["difference"] > 0.01 and 0.5 < entry["probability_better"] < 0.9
    assert found["sentence"].endswith(
        "it dominates (clearly better, that is P(better) at least 0.9, in 2 of 3 environments; "
        "clearly worse in none)."
    )


def test_a_trade_is_incomparable_and_names_both_sides():
    evaluated("rl", outcomes(0.5, SAT) | outcomes(0.2, ABD))
    evaluated("base", outcomes(0.2, SAT) | outcomes(0.5, ABD))
    found = result()["baselines"]["base"]
    assert found["verdict"] == "incomparable"
    assert "neither dominates, as it is better in affine:sat and worse in affine:abd" in found["sentence"]


def test_a_slight_gain_on_few_tasks_is_undecided_and_says_how_many_more_it_needs():
    evaluated("rl", {SAT: [True] * 5 + [False] * 5})
    evaluated("base", {SAT: [True] * 4 + [False] * 6})
    found = result()["baselines"]["base"]
    assert found["verdict"] == "undecided"
    assert found["sentence"].startswith("rl is not clearly different from base: ")
    assert found["further_tasks_per_environment"] > 0
    assert "more tasks an environment)" in found["sentence"]


def test_models_that_solve_the_same_tasks_are_said_to():
    evaluated("rl", outcomes(0.5, SAT))
    evaluated("base", outcomes(0.5, SAT))
    found = result()["baselines"]["base"]
    assert found["sentence"].startswith("rl and base solve the same tasks: macro success +0.0 points")
    posterior = found["per_environment"]["affine:sat"]["posterior_interval"]
    assert posterior["lower"] < 0 < posterior["upper"]


def test_each_baseline_gets_its_own_verdict():
    evaluated("rl", outcomes(0.5, SAT))
    evaluated("sft", outcomes(0.3, SAT))
    evaluated("base", outcomes(0.1, SAT))
    baselines = result(("base", "sft"))["baselines"]
    assert list(baselines) == ["base", "sft"]
    assert baselines["base"]["macro"]["difference"] > baselines["sft"]["macro"]["difference"] > 0
    text = Path("logs/default/compare/comparison.md").read_text()
    assert "## Against base" in text and "## Against sft" in text
    assert baselines["sft"]["sentence"] in text


def test_ungraded_tasks_are_left_out_in_pairs_and_counted():
    evaluated("rl", {SAT: [True, None, True, False, None]})
    evaluated("base", {SAT: [False, True, None, False, None]})
    found = result()["baselines"]["base"]
    assert (found["num_tasks"], found["num_excluded"]) == (2, 3)
    assert "n=2 shared tasks, 3 left out as not graded" in found["sentence"]


def test_unseen_families_are_compared_apart_and_do_not_touch_the_verdict():
    unseen = "affine:ded@heldout-v1"
    evaluated("rl", outcomes(0.5, DED) | outcomes(0.1, unseen, count=50))
    evaluated("base", outcomes(0.2, DED) | outcomes(0.9, unseen, count=50))
    found = result()["baselines"]["base"]
    assert found["verdict"] == "dominates"
    assert found["num_tasks"] == 300
    assert found["slices"]["unseen_families"]["affine:ded"]["difference"] < -0.5


def test_fractional_scores_are_compared_beside_success():
    evaluated("rl", {"agentgym:x@y": [0.5, 0.5, 1.0]})
    evaluated("base", {"agentgym:x@y": [0.0, 0.5, 1.0]})
    entry = result()["baselines"]["base"]["per_environment"]["agentgym:x"]
    assert entry["difference"] == 0.0
    assert entry["mean_score"]["difference"] == pytest.approx(0.5 / 3)


def test_the_same_evaluations_give_the_same_bytes_again():
    evaluated("rl", outcomes(0.5, SAT, ABD))
    evaluated("base", outcomes(0.4, SAT, ABD))
    path = compare(CONFIG, "rl", ("base",)) / "comparison.json"
    first = path.read_bytes()
    compare(CONFIG, "rl", ("base",), force=True)
    assert path.read_bytes() == first


def test_a_finished_comparison_is_shown_again_and_not_made_again(capsys):
    evaluated("rl", outcomes(0.5, SAT))
    evaluated("base", outcomes(0.2, SAT))
    folder = compare(CONFIG, "rl", ("base",))
    before = (folder / "manifest.json").read_bytes()
    capsys.readouterr()
    compare(CONFIG, "rl", ("base",))
    assert (folder / "manifest.json").read_bytes() == before
    assert "rl is better than base" in capsys.readouterr().out


def test_other_models_are_compared_beside_the_comparison_of_the_run(capsys):
    for label, rate in (("rl", 0.5), ("base", 0.2), ("sft", 0.3)):
        evaluated(label, outcomes(rate, SAT))
    whole = compare(CONFIG)
    before = (whole / "comparison.json").read_bytes()
    one = compare(CONFIG, "rl", ("base",), scoring="all")
    assert (str(whole), str(one)) == ("logs/default/compare", "logs/default/comparisons/rl-vs-base")
    assert list(json.loads((one / "comparison.json").read_text())["baselines"]) == ["base"]
    assert compare(CONFIG, "rl", ("sft",), force=True).name == "rl-vs-sft"
    assert (whole / "comparison.json").read_bytes() == before
    capsys.readouterr()
    assert compare(CONFIG, "rl", ("base",)) == one and compare(CONFIG, "rl", ("sft", "base")) == whole
    assert capsys.readouterr().out.count("is complete, nothing to do") == 2


def test_no_two_choices_of_models_share_a_folder():
    choices = [("rl", ("base",)), ("base", ("rl",)), ("rl", ("a/b",)), ("rl", ("a--b",)), ("rl", ("./base",))]
    choices += [("rl", (f"{'x' * 200}/{end}",)) for end in "yz"]
    folders = {comparison_folder(CONFIG, *choice) for choice in choices}
    assert len(folders) == len(choices) and max(len(folder.name) for folder in folders) < 120


def test_a_comparison_whose_evaluation_has_changed_is_refused_until_forced():
    evaluated("rl", outcomes(0.5, SAT))
    evaluated("base", outcomes(0.2, SAT))
    compare(CONFIG, "rl", ("base",))
    shutil.rmtree("logs/default/eval/base")
    evaluated("base", outcomes(0.3, SAT))
    with pytest.raises(StageError, match="`baseline base` has changed"):
        compare(CONFIG, "rl", ("base",))
    assert list(result(force=True)["baselines"]) == ["base"]


def test_folders_brought_from_elsewhere_are_compared_without_a_manifest(tmp_path):
    evaluated("rl", outcomes(0.5, SAT))
    folder = write_evaluation(tmp_path / "champion", episodes(outcomes(0.3, SAT)), CONFIG)
    (folder / "manifest.json").unlink()
    found = result((str(folder),))
    assert found["baselines"][str(folder)]["verdict"] == "dominates"


def test_a_model_is_found_by_the_name_it_was_evaluated_with():
    evaluated("rl", outcomes(0.5, SAT))
    evaluated("someone--champion", outcomes(0.2, SAT))
    assert result(("someone/champion",))["baselines"]["someone/champion"]["verdict"] == "dominates"


def test_a_path_means_that_folder_even_beside_an_evaluation_of_the_same_name():
    evaluated("rl", outcomes(0.5, SAT))
    evaluated("champion", outcomes(0.2, SAT))
    write_evaluation(Path("champion"), episodes(outcomes(0.9, SAT)), CONFIG)
    baselines = result(("champion", "./champion"))["baselines"]
    assert [found["verdict"] for found in baselines.values()] == ["dominates", "dominated"]


def test_a_model_that_was_not_evaluated_is_refused_with_the_command():
    with pytest.raises(StageError, match=r"run default has none yet\."):
        compare(CONFIG, "rl", ("base",))
    for label in ("rl", "sft"):
        evaluated(label, {SAT: [True]})
    Path("logs/default/eval/champion").mkdir()
    message = (
        r"^The evaluation of base in logs/default/eval/base is not there: run `affine eval --model base` "
        r"first; run default has those of rl, sft\.$"
    )
    with pytest.raises(StageError, match=message):
        compare(CONFIG, "rl", ("base",))
    assert not Path("logs/default/compare").exists()


@pytest.mark.parametrize("baselines", [("rl",), ("base", "base"), ()])
def test_a_comparison_with_itself_twice_or_with_nothing_is_refused(baselines):
    with pytest.raises(StageError, match=r"twice|nothing"):
        compare(CONFIG, "rl", baselines)


@pytest.mark.parametrize(("lacking", "holding"), [("base", "rl"), ("rl", "base")])
def test_a_missing_environment_is_an_error(lacking, holding):
    evaluated(holding, {SAT: [True], ABD: [True]})
    evaluated(lacking, {SAT: [True]})
    with pytest.raises(DataError, match=rf"eval/{lacking}/episodes.jsonl has no episode of affine:abd"):
        compare(CONFIG, "rl", ("base",))


@pytest.mark.parametrize(("lacking", "holding"), [("base", "rl"), ("rl", "base")])
def test_differing_tasks_are_an_error_naming_the_first_line(lacking, holding):
    evaluated(holding, {SAT: [True] * 5})
    evaluated(lacking, {SAT: [True] * 3})
    with pytest.raises(DataError, match=rf"eval/{lacking}/.* lacks 2 of .* affine:sat@small/3 \(line 4\)"):
        compare(CONFIG, "rl", ("base",))


def test_the_same_key_with_another_content_is_an_error_naming_both_lines():
    evaluated("rl", {SAT: [True] * 3})
    plays = episodes({SAT: [True] * 3})[::-1]
    plays[0].content_sha256 = "other"
    write_evaluation(Path("logs/default/eval/base"), plays, CONFIG)
    with pytest.raises(
        DataError, match=r"small/2 is not the same problem in .*rl.*, line 3, and .*base.*, line 1"
    ):
        compare(CONFIG, "rl", ("base",))


def test_nothing_graded_on_both_sides_is_an_error():
    evaluated("rl", {SAT: [True, None]})
    evaluated("base", {SAT: [None, True]})
    with pytest.raises(DataError, match="affine:sat: not one task was graded in both"):
        compare(CONFIG, "rl", ("base",))


def test_other_rules_are_an_error_and_other_decoding_is_said():
    evaluated("rl", {SAT: [True]}, settings={"rules": "a", "temperature": 0.0})
    evaluated("base", {SAT: [True]}, settings={"rules": "b", "temperature": 0.0})
    evaluated("sft", {SAT: [True]}, settings={"rules": "a", "temperature": 0.7})
    with pytest.raises(DataError, match="rl was graded by the rules a, base by b"):
        compare(CONFIG, "rl", ("base",))
    assert not Path("logs/default/compare").exists()
    found = result(("sft",))["baselines"]["sft"]
    assert found["setting_differences"] == {"temperature": [0.0, 0.7]}
    assert "evaluated with different temperature" in found["sentence"]


def brought(change):
    """Two evaluations of which the baseline's folder, without a manifest, went through `change(folder)`."""
    evaluated("rl", outcomes(0.5, SAT, count=4))
    folder = write_evaluation(Path("champion"), episodes(outcomes(0.3, SAT, count=4)), CONFIG)
    (folder / "manifest.json").unlink()
    change(folder)
    return compare(CONFIG, "rl", ("champion",))


def edit(name, replace):
    def change(folder):
        path = folder / name
        path.write_text(replace(path.read_text()))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit("episodes.jsonl", lambda t: t[:-30]), r"champion/episodes\.jsonl, line 4: not valid JSON"),
        (
            edit("episodes.jsonl", lambda t: t.replace('"reward": 0.0', '"reward": NaN', 1)),
            r"line \d: grade\.reward",
        ),
        (edit("episodes.jsonl", lambda t: t + t), r"line 5: task affine:sat@small/0 is already on line 1"),
        (
            edit("episodes.jsonl", lambda t: "".join(t.splitlines(True)[:3])),
            "counts 4 graded tasks of affine:sat",
        ),
        (edit("episodes.jsonl", lambda t: ""), r"episodes\.jsonl is empty"),
        (edit("evaluation.json", lambda t: t[:50]), r"evaluation\.json, line \d+: not valid JSON"),
        (
            edit("evaluation.json", lambda t: '{"per_environment": NaN}'),
            r"evaluation\.json: NaN is not a number",
        ),
        (edit("evaluation.json", lambda t: "{}"), r"evaluation\.json: not an evaluation"),
        (lambda folder: (folder / "episodes.jsonl").unlink(), r"episodes\.jsonl does not exist"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it(change, message):
    with pytest.raises(DataError, match=message):
        brought(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-30], r"episodes\.jsonl, line 2: not valid JSON.* not as its manifest says"),
        (lambda text: text + text, "line 3: task affine:sat@small/0 is already on line 1"),
    ],
)
def test_a_broken_evaluation_of_this_run_names_the_line_too(change, message):
    evaluated("rl", {SAT: [True, False]})
    evaluated("base", {SAT: [False, False]})
    path = Path(EPISODES.format("base"))
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        compare(CONFIG, "rl", ("base",))


def test_an_evaluation_of_a_newer_version_is_refused():
    evaluated("rl", {SAT: [True, False]})
    evaluated("base", {SAT: [False, False]})
    path = Path(EPISODES.format("base")).with_name("manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(StageError, match=r"is of version 99, and this affine reads up to"):
        compare(CONFIG, "rl", ("base",))


def test_an_edited_evaluation_of_this_run_is_refused_by_its_manifest():
    evaluated("rl", {SAT: [True, False]})
    evaluated("base", {SAT: [False, False]})
    path = Path(EPISODES.format("base"))
    path.write_text(path.read_text().replace("false", "true"))
    with pytest.raises(StageError, match=r"episodes\.jsonl"):
        compare(CONFIG, "rl", ("base",))


def test_a_failed_comparison_leaves_the_finished_one_in_place():
    evaluated("rl", outcomes(0.5, SAT))
    evaluated("base", outcomes(0.2, SAT))
    path = compare(CONFIG, "rl", ("base",)) / "comparison.json"
    before = path.read_bytes()
    shutil.rmtree("logs/default/eval/base")
    evaluated("base", outcomes(0.2, SAT, count=10))
    with pytest.raises(DataError):
        compare(CONFIG, "rl", ("base",), force=True)
    assert path.read_bytes() == before


def test_an_extra_task_in_one_file_is_not_dropped_in_silence():
    evaluated("rl", {SAT: [True] * 3})
    plays = [*episodes({SAT: [True] * 3}), episode("affine:sat@guide/0")]
    write_evaluation(Path("logs/default/eval/base"), plays, CONFIG)
    with pytest.raises(DataError, match=r"affine:sat@guide/0 \(line 4\)"):
        compare(CONFIG, "rl", ("base",))
