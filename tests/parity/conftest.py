"""Says at the end of a run how many arrays were compared with PyTorch's; with xdist, those of all workers."""

import pytest
from comparing import counted

FROM_WORKERS = []


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["parity"] = dict(counted)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    FROM_WORKERS.append(getattr(node, "workeroutput", {}).get("parity", {}))


def pytest_terminal_summary(terminalreporter):
    for found in FROM_WORKERS:
        counted.update(found)
    FROM_WORKERS.clear()
    if counted:
        parts = ", ".join(f"{n:,} {what}" for what, n in sorted(counted.items()))
        terminalreporter.write_line(f"parity with PyTorch: {counted.total():,} comparisons of arrays ({parts})")
