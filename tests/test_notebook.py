"""What a Jupyter kernel does with nnkit: the example notebook, the bar and the lines, the stop button, what a cell shows.

Needs nnkit[notebook]; .ci/run installs it for this file. Where the example changes, run all of it in JupyterLab and save it.
"""

import gc
import json
import re
import threading
import time
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs/notebooks/first_steps.ipynb"
SMALL = """\
recipe: sgns
data: {train: c.txt, min_count: 1, subsample: 0}
model: {dim: 8}
training: {epochs: 3, blocks: 2, block_length: 8}
log: {every: 20 steps}
"""


# jupyter_client leaves event loops and sockets to the collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def collected():
    """They are collected here, and not in somebody else's test."""
    yield
    gc.collect()


def modules():
    return (pytest.importorskip(name, reason="needs nnkit[notebook]") for name in ("nbformat", "nbclient", "ipykernel"))


# The example

def kinds(cell):
    """What a cell shows, not its numbers: they are of a text that every Python has another version of."""
    return [sorted(output["data"]) if "data" in output else output.get("name", "error") for output in cell.get("outputs", [])]


def test_the_example_runs_and_shows_what_is_stored_in_it(tmp_path):
    nbformat, nbclient, _ = modules()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    stored = [kinds(cell) for cell in notebook.cells]
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", coalesce_streams=True,
                                     resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # CellExecutionError where a cell fails
    assert [kinds(cell) for cell in notebook.cells] == stored  # a warning would be a stream "stderr"
    assert {path.name for path in tmp_path.iterdir()} == {"first.yaml", "runs"}


def test_the_example_is_small_and_says_nothing_of_the_machine_that_ran_it():
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 200_000
    assert re.findall(r"(?<![\w.])/(?:tmp|home|root|opt|work|usr|Users|var)\b", text) == []
    for cell in json.loads(text)["cells"]:
        assert cell["metadata"] == {}  # no times


# A kernel of our own

class Kernel:
    """`run` executes a cell: what it writes to stdout and stderr, what it shows by MIME type, and its error."""

    def __init__(self, folder):
        from jupyter_client.manager import start_new_kernel
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(folder))

    def run(self, code):
        seen = {"stdout": "", "stderr": "", "shown": {}, "error": None}

        def hear(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                seen[content["name"]] += content["text"]
            elif message["msg_type"] == "error":
                seen["error"] = content["ename"]
            elif "data" in content:
                seen["shown"] = content["data"]

        self.client.execute_interactive(code, timeout=120, output_hook=hear)
        return seen

    def stop_when(self, is_so):
        """Press the stop button once this is so, while `run` waits."""
        def wait_and_press():
            deadline = time.monotonic() + 60
            while not is_so() and time.monotonic() < deadline:
                time.sleep(0.05)
            self.manager.interrupt_kernel()

        threading.Thread(target=wait_and_press, daemon=True).start()

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    list(modules())
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "c.txt").write_text("the cat sat on the mat while a dog ran home\n" * 300, encoding="utf-8")
    (folder / "c.yaml").write_text(SMALL, encoding="utf-8")
    kernel = Kernel(folder)
    kernel.folder = folder
    try:
        assert kernel.run("import nnkit")["error"] is None
        yield kernel
    finally:
        kernel.close()


def test_fit_prints_to_stdout_with_one_bar_and_keeps_the_command_of_the_kernel_to_itself(kernel):
    seen = kernel.run("run = nnkit.fit('c.yaml', out='plain')")
    assert seen["error"] is None and seen["stderr"] == ""
    assert "epoch 3/3" in seen["stdout"] and re.search(r"\r +0%\|.*\? words/s", seen["stdout"])
    assert "argv" not in json.loads((kernel.folder / "plain/run.json").read_text(encoding="utf-8"))
    quiet = kernel.run("nnkit.fit('c.yaml', out='quiet', quiet=True); None")
    assert quiet["stdout"] == quiet["stderr"] == ""


def test_the_stop_button_returns_the_run_so_far_which_can_be_resumed(kernel):
    metrics = kernel.folder / "stopped/metrics.jsonl"
    kernel.stop_when(lambda: metrics.exists() and metrics.stat().st_size > 0)
    seen = kernel.run("run = nnkit.fit('c.yaml', ['training.epochs=100000'], out='stopped')\nrun.status, run.exit_code")
    assert seen["error"] is None and seen["shown"]["text/plain"] == "('interrupted', 130)"
    assert "SIGINT: finishing this step and saving" in seen["stdout"]
    rest = kernel.run("last = int(run.history['epoch'][-1])\nnnkit.resume(run.path, [f'training.epochs={last + 1}']).status")
    assert rest["error"] is None and rest["shown"]["text/plain"] == "'finished'"
    # afterwards the button stops a cell as ever
    kernel.stop_when((kernel.folder / "sleeps").exists)
    assert kernel.run("open('sleeps', 'w').close()\nimport time\ntime.sleep(20)")["error"] == "KeyboardInterrupt"


def test_a_mistake_in_a_config_is_an_exception_with_its_line_and_the_kernel_lives(kernel):
    seen = kernel.run("try:\n    nnkit.fit('c.yaml', ['model.dimm=3'])\nexcept nnkit.ConfigError as error:\n    print(error)")
    assert seen["error"] is None and "unknown key 'dimm'" in seen["stdout"]


def test_fit_in_a_thread_trains_to_its_end(kernel):
    seen = kernel.run("import threading\nruns = []\n"
                      "thread = threading.Thread(target=lambda: runs.append(nnkit.fit('c.yaml', out='threaded')))\n"
                      "thread.start()\nthread.join()\nruns[0].status")
    assert seen["error"] is None and seen["shown"]["text/plain"] == "'finished'"


def test_cells_show_runs_curves_graphs_and_neighbours(kernel):
    assert kernel.run("run = nnkit.fit('c.yaml', out='shown', quiet=True)")["error"] is None
    shown = kernel.run("run")["shown"]
    assert shown["text/plain"].startswith("Run(shown, finished, ") and "<img " in shown["text/html"]
    assert set(kernel.run("run.plot()")["shown"]) == {"text/plain", "image/png"}
    seen = kernel.run("from nnkit.vectors import WordVectors\nWordVectors.load('shown/vectors.vec').most_similar('cat', n=2)")
    assert seen["shown"]["text/html"].count("<tr>") == 3 and seen["shown"]["text/plain"].startswith("[('")
    pytest.importorskip("grandalf", reason="needs nnkit[show]")
    assert kernel.run("x = nnkit.Tensor(3.0)\nnnkit.draw(x * x)")["shown"]["image/svg+xml"].startswith("<svg ")
