"""Filling in the templates of this folder, for pages and pictures that are one file each and ask no network for anything.

`templates/base.html` is the frame of every page: its style, light and dark as the reader's system is, and blocks for the rest.
Whatever is filled in is escaped: a word of a corpus may be <script>.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from nnkit.errors import UserError
from nnkit.show.scene import COLOURS


def render(template: str, **values: Any) -> str:
    """A template with its values filled in. UserError where jinja2 is missing."""
    require("jinja2")
    import jinja2

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(colours=COLOURS, **values)


def require(*modules: str) -> None:
    """UserError where one of the modules of nnkit[show] is missing; asked before data is read for a picture."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f"pictures of graphs and pages need {' and '.join(missing)}; pip install 'nnkit[show]'")
