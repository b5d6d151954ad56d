"""The page of runs in a real Chromium: curves by every control, the search, markup that stays text, themes, a phone's width."""

import numpy as np
import pytest
from reported import Page, train
from viewing import View

from nnkit.show.report import write_report
from nnkit.training.curves import smoothed

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of two classifiers and word vectors."""
    folder = tmp_path_factory.mktemp("seen")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("nnkit.training.session.safe_plot", lambda folder: None)
        runs = [train(folder, "classifier"), train(folder, "classifier", "optimizer.lr=0.1"), train(folder, "words")]
        return write_report(runs, folder / "report.html")


@pytest.fixture(scope="module")
def data(page):
    return Page(page).data


def drawn(view, place):
    """What plotly.js was given: the traces of a figure, and its layout as far as it was asked for."""
    return view.browser.execute_script("""
        const {data, _fullLayout: layout} = document.getElementById(arguments[0]);
        const part = ({x, y, z, text, name, opacity}) => ({x, y, z, text, name, opacity});
        const {type, range} = layout.yaxis;
        return [data.map(part), {type, range, xrange: layout.xaxis.range, title: layout.xaxis.title.text}]""", place)


def give(view, field, value, event="change"):
    view.browser.execute_script("const field = document.getElementById(arguments[0]); field.value = arguments[1];"
                                "field.dispatchEvent(new Event(arguments[2], {bubbles: true}))", field, value, event)


def box(view, text):
    return next(label for label in view.browser.find_elements("css selector", "label.box") if text in label.text)


def test_all_figures_are_drawn_and_nothing_is_asked_of_a_network(browser, page, data):
    view = View(browser, page)
    traces, layout = drawn(view, "curves-0")
    first, second, words = (run["curves"]["steps"] for run in data["runs"])
    assert [trace["y"] for trace in traces] == [first["train_loss"][1], first["dev_loss"][1], second["train_loss"][1],
                                                second["dev_loss"][1], words["train_loss"][1]]
    assert layout["title"] == "step (updates)"
    assert browser.execute_script("return [...document.querySelectorAll('.plot')].every(e => e.querySelector('.trace, .hm'))")
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not [name for name in asked if not name.startswith("data:")] and view.errors() == []
    # plotly.js would offer to send a figure to a server
    buttons = {button.get_attribute("aria-label") for button in browser.find_elements("css selector", ".modebar-btn")}
    assert buttons == {"Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes", "Download plot as a PNG"}


def test_the_curves_follow_every_control(browser, page, data):
    view, run = View(browser, page), data["runs"][0]
    give(view, "axis", "epochs")
    traces, layout = drawn(view, "curves-0")
    assert traces[1]["x"] == [1, 2, 3] and layout["title"] == "epochs of training"
    box(view, "logarithmic").click()
    assert drawn(view, "curves-0")[1]["type"] == "log"
    give(view, "smooth", "0.6", "input")
    faint, smooth, *_ = drawn(view, "curves-0")[0]
    assert faint["opacity"] == 0.3 and view.text("output") == "0.6"
    assert np.allclose(smooth["y"], smoothed(np.array(run["curves"]["epochs"]["train_loss"][1]), 0.6))
    give(view, "smooth", "0", "input")
    give(view, "from", "1.5")
    assert drawn(view, "curves-0")[1]["xrange"][0] == 1.5
    browser.find_element("id", "whole").click()
    assert drawn(view, "curves-0")[1]["xrange"][0] < 1.5
    before = drawn(view, "curves-0")[1]["xrange"]
    browser.find_element("css selector", "#curves-0 [aria-label='Zoom in']").click()
    zoomed = drawn(view, "curves-0")[1]["xrange"]
    assert before[0] < zoomed[0] < zoomed[1] < before[1]
    box(view, "train_loss").click()  # what was zoomed to stays
    assert drawn(view, "curves-0")[1]["xrange"] == zoomed
    browser.find_element("id", "whole").click()
    assert drawn(view, "curves-0")[1]["xrange"][1] > zoomed[1]
    assert [trace["name"] for trace in drawn(view, "curves-0")[0]] == ["classifier-001 dev_loss", "classifier-002 dev_loss"]
    box(view, "classifier-001").click()
    assert [trace["name"] for trace in drawn(view, "curves-0")[0]] == ["classifier-002 dev_loss"]
    assert view.errors() == []


def test_a_word_is_searched_by_keys_and_its_neighbours_lead_on(browser, page, data):
    from selenium.webdriver.common.keys import Keys

    view, found = View(browser, page), data["runs"][2]["map"]
    near = dict(zip(found["words"], found["near"]))
    field = browser.find_element("id", "word-2")
    field.send_keys("<script>", Keys.ENTER)
    assert view.text(".found") == "Nearest to <script>, with their cosines:"
    shown = view.seen(".near li")
    assert shown == [f"{word} {cosine:.3f}" for word, cosine in near["<script>"]]
    traces, _ = drawn(view, "map-2")
    assert traces[2]["text"] == ["&lt;script&gt;"] and len(traces[0]["x"]) == len(found["words"])
    browser.find_element("css selector", ".near button").click()
    assert view.text(".found") == f"Nearest to {near['<script>'][0][0]}, with their cosines:"
    field.clear()
    field.send_keys("CA", Keys.ENTER)
    assert view.text(".found") == "CA is not on the map. There are cat." and view.seen(".near li") == []
    assert view.errors() == []


def test_markup_in_labels_and_sentences_is_shown_as_it_was_written(browser, page):
    view = View(browser, page)
    ticks = browser.execute_script("return [...document.querySelectorAll('#confusion-0 .ytick text')].map(e => e.textContent)")
    assert ticks == ["$x^2$", "<b>a</b>"]
    for summary in browser.find_elements("css selector", "summary"):
        summary.click()
    assert "<b>a</b>" in view.text("body") and "one <script>document.title='stolen'</script> two three" in view.text("body")
    assert browser.title == "3 runs compared" and not browser.find_elements("css selector", "main b, main i, main script")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_is_wider_than_the_screen_and_figures_follow_the_theme(browser, page, dark):
    view = View(browser, page, width=400, dark=dark)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    ink = browser.execute_script("return [...document.querySelectorAll('.plot .xtick text')].map(e => getComputedStyle(e).fill)")
    assert set(ink) == {"rgb(232, 234, 237)" if dark else "rgb(27, 31, 36)"}
    # the system changes its theme while the page is open
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"features": [{"name": "prefers-color-scheme", "value": "light" if dark else "dark"}]})
    ink = browser.execute_script("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done("
                                 "getComputedStyle(document.querySelector('#confusion-0 .xtick text')).fill))))")
    assert ink == ("rgb(27, 31, 36)" if dark else "rgb(232, 234, 237)")
    for control in browser.find_elements("css selector", ".controls button, .controls select, .controls input[type=number]"):
        assert control.size["height"] >= 44
    assert view.errors() == []


def test_what_two_recipes_differ_in_scrolls_under_its_head_and_leaves_the_curves_near(browser, page):
    View(browser, page)
    height, whole = browser.execute_script("const region = document.querySelector('.differing').parentNode;"
                                           "return [region.clientHeight, region.scrollHeight]")
    assert height <= 0.6 * 800 < whole


def test_a_screen_reader_finds_names_for_all_that_can_be_used_and_tables_of_all_numbers(browser, page):
    named = View(browser, page).heard()
    used = {"button", "combobox", "checkbox", "slider", "spinbutton", "textbox", "region"}
    assert [one for one in named if one[0] in used and not one[1]] == []
    assert {("combobox", "Over"), ("slider", "Smooth train_loss"), ("spinbutton", "from"), ("combobox", "Word"),
            ("region", "Measures"), ("button", "Zoom in"), ("checkbox", "dev_loss")} <= set(named)
    assert ("group", "Confusion matrix; the tables below have its numbers") in named


def test_without_a_script_the_tables_are_there_and_no_dead_controls(browser, page):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        view = View(browser, page)
        assert view.seen(".controls") == [] and len(view.seen("table")) >= 4 and "drawn by a script" in view.text("noscript")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
