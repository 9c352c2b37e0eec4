"""Pages, their words and clicks are the real server's; what a page does not offer does nothing."""

import json
import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affine_trainer.envs.webshop import WebShopGames
from affine_trainer.envs.webshop.game import parse_action

GAMES = WebShopGames()
INDICES = GAMES.indices("train", 60, 0)
INDEX = INDICES[0]


def opened(index=INDEX):
    """A game on the page of the product that the task was made from."""
    game = GAMES.start(index)
    product = game.errand.product
    game.act(f"search[{product.style} {product.kind}]")
    while f"click[{product.asin.lower()}]" not in game.actions():
        game.act("click[Next >]")
    game.act(f"click[{product.asin}]")
    return game, product


def wanted_options(game):
    return game.errand.goal.options.values()


def play(game, actions):
    return [game.act(action) for action in actions]


def test_the_first_page_asks_for_a_search():
    game = GAMES.start(INDEX)
    assert re.fullmatch(
        r"WebShop \[SEP\] Instruction: \[SEP\] .+, and price lower than \d+\.00 dollars \[SEP\] Search",
        game.observe(),
    )
    assert game.available_actions() == {"has_search_bar": True, "clickables": ["search"]}


def test_a_results_page_lists_ids_titles_and_prices():
    game = GAMES.start(INDEX)
    page = game.act("search[striped shirt]").observation
    head = f"Instruction: [SEP] {game.errand.instruction} [SEP] Back to Search [SEP] "
    head += "Page 1 (Total results: 50) [SEP] Next >"
    row = r" \[SEP\] B\w{3} \[SEP\] [^\[]+ \[SEP\] \$\d+\.\d\d"
    assert page.startswith(head)
    assert re.fullmatch(f"(?:{row}){{4}}", page.removeprefix(head))
    assert game.available_actions()["has_search_bar"] is False
    assert game.available_actions()["clickables"][:2] == ["back to search", "next >"]


def test_the_pages_of_results_can_be_turned_to_the_last_and_back():
    game = GAMES.start(INDEX)
    pages = [game.act("search[striped shirt]").observation]
    while "click[next >]" in game.actions():
        pages.append(game.act("click[next >]").observation)
    assert len(pages) == 13
    assert "Page 13 (Total results: 50) [SEP] < Prev [SEP] B" in pages[-1]
    assert "Page 2 (Total results: 50) [SEP] < Prev [SEP] Next > [SEP] B" in pages[1]
    assert game.act("click[< Prev]").observation == pages[-2]


def test_ten_results_a_page_as_the_real_shop_are_a_constructor_argument():
    game = WebShopGames(page_size=10).start(INDEX)
    assert game.act("search[shirt]").observation.count("$") == 10


def test_a_search_without_results_says_so():
    page = GAMES.start(INDEX).act("search[zzzz]").observation
    assert page.endswith("Back to Search [SEP] Page 1 (Total results: 0)")


def test_an_item_page_shows_options_then_title_price_and_buttons():
    game, product = opened()
    options = " [SEP] ".join(part for name, values in product.options.items() for part in (name, *values))
    tail = r"Price: \$\d+\.\d\d \[SEP\] Rating: (N\.A\.|\d\.\d)"
    tail += r" \[SEP\] Description \[SEP\] Features \[SEP\] Reviews \[SEP\] Buy Now"
    start = f"Instruction: [SEP] {game.errand.instruction} [SEP] Back to Search [SEP] < Prev [SEP] {options}"
    start += f" [SEP] {product.title} [SEP] "
    assert game.observe().startswith(start)
    assert re.fullmatch(tail, game.observe().removeprefix(start))


def test_an_item_page_offers_its_buttons_and_every_value():
    game, product = opened()
    buttons = ["back to search", "< prev", "description", "features", "reviews", "buy now"]
    values = [value for values in product.options.values() for value in values]
    assert game.available_actions() == {"has_search_bar": False, "clickables": buttons + values}


@pytest.mark.parametrize("name", ["Description", "Features", "Reviews"])
def test_a_sub_page_leads_back_to_the_item_and_keeps_the_options(name):
    game, _ = opened()
    for value in wanted_options(game):
        game.act(f"click[{value}]")
    item, ahead = game.observe(), game.progress
    page = game.act(f"click[{name}]").observation
    head = f"Instruction: [SEP] {game.errand.instruction} [SEP] Back to Search [SEP] < Prev [SEP] "
    assert page.startswith(head)
    assert game.available_actions()["clickables"] == ["back to search", "< prev"]
    assert game.progress == ahead
    assert game.act("click[< Prev]").observation == item
    assert game.act("click[Buy Now]").reward == 1.0


def test_the_sub_pages_say_what_the_product_is_like():
    game, product = opened()
    assert product.description in game.act("click[description]").observation
    game.act("click[< Prev]")
    assert " [SEP] ".join(product.features) in game.act("click[features]").observation
    game.act("click[< Prev]")
    reviews = game.act("click[reviews]").observation
    expected = [review.body for review in product.reviews] or ["No reviews found"]
    assert all(text in reviews for text in expected)


def test_leaving_a_product_forgets_its_options():
    game, product = opened()
    for value in wanted_options(game):
        game.act(f"click[{value}]")
    play(game, ["click[< Prev]", f"click[{product.asin}]"])
    assert game.act("click[Buy Now]").reward < 1.0


def test_the_last_value_chosen_of_an_option_counts():
    game, product = opened()
    for name, value in game.errand.goal.options.items():
        other = next(other for other in product.options[name] if other != value)
        play(game, [f"click[{value}]", f"click[{other}]", f"click[{value}]"])
    assert game.act("click[Buy Now]").reward == 1.0


def test_a_purchase_ends_the_visit_and_nothing_comes_after_it():
    game, product = opened()
    for value in wanted_options(game):
        assert game.act(f"click[{value}]").reward == 0.0
    end = game.act("click[Buy Now]")
    assert (end.reward, end.score, end.done, game.success) == (1.0, 1.0, True, True)
    bought = f"Purchased [SEP] asin [SEP] {product.asin} [SEP] options [SEP] {{"
    assert end.observation.startswith(f"Thank you for shopping with us! [SEP] {bought}")
    assert end.observation.endswith("Your score (min 0.0, max 1.0) [SEP] 1.0")
    assert game.actions() == []
    after = game.act("click[Buy Now]")
    assert (after.reward, after.score, after.done, after.observation) == (0.0, 1.0, True, end.observation)


def test_a_poor_purchase_earns_its_share_and_is_no_success():
    game, _ = opened()
    end = game.act("click[Buy Now]")
    asked = len(game.errand.goal.options)
    assert end.reward == pytest.approx(1 - asked / (asked + len(game.errand.goal.attributes) + 1))
    assert end.done and not game.success and game.progress < 1.0


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_what_is_clicked_may_be_in_any_case(case):
    game, product = opened()
    game.act(f"click[{case('Features')}]")
    assert product.features[0] in game.observe()


def test_a_search_works_from_any_page_as_on_the_real_server():
    game, _ = opened()
    assert "Page 1 (Total results:" in game.act("search[rug]").observation


@pytest.mark.parametrize(
    "action",
    [
        *("", " ", "\x00", "№[§]", "buy now", "[buy now]", "click[buy now", "click buy now]"),
        *("search", "search[]", "search[a\nb]", "click", "click[]", "click[search]", "click[next >]"),
        *("click[B000]", "click[color]", "click[ buy now ]", "click[Buy\nNow]", "\nclick[Buy Now]"),
        *("Click[Buy Now]", "click [Buy Now]", "think[buy now]", "click[a] and click[buy now]"),
    ],
)
def test_an_action_that_is_not_offered_leaves_the_page_unchanged(action):
    game, _ = opened()
    page, state = game.observe(), game.snapshot()
    outcome = game.act(action)
    assert (outcome.observation, outcome.reward, outcome.score, outcome.done) == (page, 0.0, 0.0, False)
    assert game.snapshot() == state


def test_there_is_nothing_to_buy_before_a_product_is_open():
    game = GAMES.start(INDEX)
    for action in ("click[Buy Now]", "click[Next >]", "click[Features]", "click[< Prev]"):
        assert not game.act(action).done
    assert game.act("search[shirt]").done is False
    assert not game.act("click[Buy Now]").done


@given(st.text(alphabet="ab[]\n Z", max_size=12))
def test_an_action_is_read_as_the_real_server_reads_it(text):
    match = re.match(r"(.+)\[(.+)\]", text)
    assert parse_action(text) == ((match[1], match[2].lower()) if match else ("", ""))


def test_reading_an_endless_action_is_quick():
    GAMES.start(INDEX).act("[" * 200_000)


@given(st.text(max_size=40))
def test_no_action_whatever_raises(text):
    game, _ = opened()
    for action in (text, f"search[{text}]", f"click[{text}]"):
        game.act(action)


def test_every_listed_action_is_understood():
    rng = random.Random(0)
    for index in INDICES[:20]:
        game = GAMES.start(index)
        for _ in range(15):
            assert all(understood(game, action) for action in game.actions())
            game.act(rng.choice([action for action in game.actions() if "buy" not in action]))


def understood(game, action):
    """Whether it changes the state, or chooses an option that was chosen before."""
    before = game.snapshot()
    game.act(action)
    changed = game.snapshot() != before
    game.restore(before)
    return changed or action[6:-1] in json.loads(before)["view"]["options"].values()


def test_a_snapshot_brings_back_the_page_and_all_that_follows():
    rng = random.Random(1)
    for index in INDICES:
        game, expert = GAMES.start(index), GAMES.expert(GAMES.start(index))
        page = game.observe()
        path = []
        while not game.success:
            path.append(expert.move(page).action)
            page = game.act(path[-1]).observation
        cut = rng.randrange(len(path) + 1)
        game = GAMES.start(index)
        play(game, path[:cut])
        page, ahead, state = game.observe(), game.progress, game.snapshot()
        for _ in range(3):
            game.act(rng.choice(game.actions() or ["click[Buy Now]"]))
        game.restore(state)
        assert (game.observe(), game.progress, game.snapshot()) == (page, ahead, state)
        other = GAMES.start(index)
        other.restore(state)
        assert play(game, path[cut:]) == play(other, path[cut:])
        assert game.success and other.success


def test_a_snapshot_is_plain_data():
    game, _ = opened()
    assert json.loads(game.snapshot())["view"]["page"] == "item"


def test_progress_is_a_function_of_the_state_within_bounds():
    rng = random.Random(2)
    for index in INDICES:
        game = GAMES.start(index)
        for _ in range(12):
            ahead = game.progress
            twin = GAMES.start(index)
            twin.restore(game.snapshot())
            assert 0.0 <= ahead <= 1.0
            assert twin.progress == ahead
            assert (ahead == 1.0) == game.success
            if game.actions():
                game.act(rng.choice(game.actions()))


def test_many_games_at_once_go_as_they_go_alone():
    def transcript(index):
        game, rng = GAMES.start(index), random.Random(index)
        return [game.act(rng.choice(game.actions() or ["click[x]"])) for _ in range(30)]

    alone = [transcript(index) for index in INDICES]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(transcript, INDICES)) == alone
