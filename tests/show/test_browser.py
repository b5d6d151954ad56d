"""The page in a real Chromium: every step by button and by key, its numbers, its themes, a phone's width.

Skipped where selenium, Chromium or chromedriver are missing; scripts/long_checks.sh runs it.
"""

import numpy as np
import pytest
from viewing import View

import nnkit
from nnkit import Tensor, losses, nn
from nnkit.show.gradients import run_backward
from nnkit.show.graph import collect, watched
from nnkit.show.numbers import texts

pytestmark = pytest.mark.browser


def tokens(lines):
    return " ".join(lines).replace("value", "").replace("grad", "").split()


@pytest.fixture(scope="module")
def model():
    return nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Residual(nn.Linear(3, 3, rng=1)))


@pytest.fixture(scope="module")
def loss(model):
    return lambda: losses.mean_squared_error(model(np.array([[1, 2], [3, -1]], np.float32)), np.ones((2, 3), np.float32))


@pytest.fixture(scope="module")
def page(loss, tmp_path_factory):
    return nnkit.draw(loss, tmp_path_factory.mktemp("page") / "graph.html")


def test_every_step_shows_what_python_computed(browser, page, loss):
    results, watcher = watched(loss)
    graph = collect(results, watcher)
    run_backward(graph, results[0])
    view = View(browser, page)
    operations = [node for node in graph.nodes if node.operation is not None]
    given = [node for node in graph.nodes if node.operation is None]
    assert all(tokens(view.in_node(node.key, "value")) == tokens(texts(node.value)) for node in given)
    assert not any(view.in_node(node.key, "value") for node in operations)
    for i, node in enumerate(operations):
        view.click("next")
        assert view.text("#count") == f"Step {i + 2} of {2 * len(operations) + 3}, forward"
        assert view.text("#said").startswith(f"{node.title} gives ")
        assert tokens(view.in_node(node.key, "value")) == tokens(texts(node.value))
        assert "def forward(ctx, " in view.seen(".code pre")[0]
        assert sum(bool(view.in_node(other.key, "value")) for other in operations) == i + 1
    assert not any(view.in_node(node.key, "gradient") for node in graph.nodes)
    view.click("next")
    assert "Backward begins at the result" in view.text("#said")
    for node in graph.backward:
        view.click("next")
        assert view.text("#said").startswith(f"{node.title} has the gradient ")
        shown = view.seen(".all > li dd")
        links = [link for link in node.inputs if link.given is not None]
        assert len(shown) == 3 * len(links)
        for link, upstream, local, downstream in zip(links, shown[::3], shown[1::3], shown[2::3]):
            assert upstream.split() == tokens(texts(node.gradient)) and downstream.split() == tokens(texts(link.given))
            if link.local is not None:
                assert local.split() == tokens(texts(link.local))
            if link is link.source.arrived[-1]:  # all of its paths are there
                assert tokens(texts(link.source.gradient))[-1] in tokens(view.in_node(link.source.key, "gradient"))
    view.click("next")
    assert "gradients have reached the leaves" in view.text("#said") and view.browser.find_element(
        "css selector", "[data-to=next]").get_attribute("aria-disabled") == "true"
    view.click("next")
    assert "gradients have reached the leaves" in view.text("#said")
    assert view.errors() == []


def test_the_additions_where_paths_meet_are_shown(browser, tmp_path):
    x = Tensor(3.0, name="x")
    view = View(browser, nnkit.draw(x ** 2 * (3 * x), tmp_path / "a.html"))
    for _ in range(6):
        view.click("next")
    assert "path 1 of 2" in view.text("#said") and view.in_node("n0", "gradient") == []
    view.click("next")
    assert "27 + 54 = 81" in view.text("#said") and view.in_node("n0", "gradient") == ["grad  27 + 54 = 81"]
    view.click("back")
    assert view.in_node("n0", "gradient") == []


def test_keys_step_too_and_scroll_where_there_is_something_to_scroll(browser, page):
    from selenium.webdriver.common.keys import Keys

    view = View(browser, page)
    counts = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.END, Keys.HOME):
        view.press(key)
        counts.append(int(view.text("#count").split()[1]))
    assert counts[:3] == [2, 3, 2] and counts[3] > 10 and counts[4] == 1
    graph = browser.find_element("css selector", ".graph")
    graph.send_keys(Keys.ARROW_RIGHT)
    assert view.text("#count").startswith("Step 1 ")
    # by Tab one comes to every button, and Enter presses it
    view = View(browser, page)
    reached = []
    for _ in range(4):
        view.press(Keys.TAB)
        reached.append(browser.switch_to.active_element.text)
    assert reached == ["First", "Back", "Next", "Last"]
    view.press(Keys.ENTER)
    assert "gradients have reached the leaves" in view.text("#said")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_current_node_is_in_sight(browser, page, dark):
    view = View(browser, page, width=400, dark=dark)
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(22, 24, 28)" if dark else "rgb(255, 255, 255)")
    steps = len(browser.find_elements("css selector", ".all > li"))
    for _ in range(steps):
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
        assert browser.execute_script("""
            const frame = document.querySelector(".graph").getBoundingClientRect();
            const node = document.querySelector(".node.current").getBoundingClientRect();
            return node.right > frame.left && node.left < frame.right && node.bottom > frame.top && node.top < frame.bottom;""")
        for button in browser.find_elements("css selector", ".buttons button"):
            assert button.size["height"] >= 44 and button.size["width"] >= 44
        view.click("next")
    assert view.errors() == []


def test_a_screen_reader_hears_of_every_step(browser, page):
    view = View(browser, page)
    roles = set(view.heard())
    assert {("button", name) for name in ("First", "Back", "Next", "Last")} <= roles
    assert {("group", "Steps"), ("region", "The graph"), ("status", "")} <= roles
    live = browser.find_element("css selector", "[aria-live=polite]")
    before = live.text
    view.click("next")
    assert live.text != before and "Step 2 of" in live.text and "gives" in live.text


def test_without_a_script_all_steps_and_numbers_are_there_to_be_read(browser, page):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        view = View(browser, page)
        assert len(view.seen(".all > li")) > 10 and len(view.seen(".sentence")) > 10 and view.seen(".buttons") == []
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_letters_are_no_wider_than_the_boxes_are_made_for(browser, page):
    View(browser, page)
    beyond = browser.execute_script("""
        return [...document.querySelectorAll("g.node")].flatMap(group => {
          const box = group.querySelector("rect").getBoundingClientRect();
          return [...group.querySelectorAll("text")].filter(text => text.getBoundingClientRect().right > box.right);
        }).length""")
    assert beyond == 0
