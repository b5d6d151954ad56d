"""What all tests share: the folder of real data beside the project, and a cache that is never the user's own."""

import gc
import hashlib
import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def python_docs_cache(request, tmp_path_factory):
    """The folder NNKIT_CACHE names for every test and every program a test starts.

    It outlives the session, for extracting builtin:python-docs takes ten seconds; a changed extractor gets a new one.
    """
    extractors = (PROJECT / f"nnkit/data/{name}.py" for name in ("python_docs", "python_code"))
    version = hashlib.sha256(b"".join(file.read_bytes() for file in extractors)).hexdigest()[:8]
    if cache := getattr(request.config, "cache", None):
        folder = Path(cache.mkdir(f"nnkit-{version}"))
    else:
        folder = tmp_path_factory.mktemp("nnkit-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNKIT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data: NNKIT_DATA, or ../shared/data. Tests that ask for it are skipped where it is missing."""
    folder = Path(os.environ.get("NNKIT_DATA") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set NNKIT_DATA")
    return folder


@pytest.fixture
def no_collector():
    """Without the cycle collector, so that what is left behind is seen."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
