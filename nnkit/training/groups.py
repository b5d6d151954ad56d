"""Parameter groups: `optimizer.groups` of a config names some of the parameters and gives them hyper-parameters of their own.

    optimizer: {type: SGD, lr: 0.1, groups: [{match: "embedding.*", lr: 0}, {match: "*.bias", weight_decay: 0}]}
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, create_model, model_serializer
from pydantic.fields import FieldInfo

from nnkit.nn import Module
from nnkit.training.places import KeyedError
from nnkit.training.sections import Section

SHOWN = 40  # names of parameters in an error

S = TypeVar("S", bound=Section)


class Group(Section):
    """Some of the parameters. What is left out is the optimizer's own value, and is left out where the config is written, too."""

    match: str = Field(min_length=1, description="names of parameters, as a shell pattern: embedding.*, *.bias")
    lr: float = Field(default=cast(float, None), ge=0, description="learning rate of these parameters; 0: they stay as they are")

    @model_serializer
    def _given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


def grouped(section: type[S]) -> type[S]:
    """A decorator of an optimizer's section: with `groups`, whose items have the section's own keys, bounds and lines of help.

    Of a group, lr alone has a bound of its own, for it may be 0.
    """
    own: dict[str, Any] = {
        name: (with_bounds(field), Field(default=None, description=field.description))
        for name, field in section.model_fields.items() if name not in ("type", "lr", "groups")}
    group = create_model(f"{section.__name__}Group", __base__=Group, __module__=section.__module__, **own)
    description = ("parameters with values of their own: {match: '*.bias', lr: 0.01}; "
                   "one is of the first group that matches")
    groups: Any = (list[group], Field(default=[], description=description))  # type: ignore[valid-type]
    return create_model(section.__name__, __base__=section, __module__=section.__module__, __doc__=section.__doc__, groups=groups)


def with_bounds(field: FieldInfo) -> Any:
    """The type of a section's key, with its bounds."""
    annotated, parts = cast(Any, Annotated), (field.annotation, *field.metadata)
    return annotated[parts] if field.metadata else field.annotation


def parameter_groups(model: Module, groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What an Optimizer takes: each parameter in the first group that matches its name, and what is left in a last one.

    The last one is there even where nothing is left for it. It has no value of its own, so that the optimizer's lr is always
    that of the section, and the groups' keep their ratio to it.
    KeyedError with the names there are, for a pattern that matches none or only such as earlier groups took; and where every
    parameter would stay as it is.
    """
    left = dict(model.named_parameters())
    names = list(left)
    taken: dict[str, str] = {}  # the pattern that took a name
    made = []
    for i, group in enumerate(groups):
        pattern = group["match"]
        matching = [name for name in names if fnmatchcase(name, pattern)]
        free = [name for name in matching if name in left]
        if not free:
            why = _why_none(pattern, matching, taken, names)
            raise KeyedError(("optimizer", "groups", i, "match"), f"{pattern!r} matches {why}")
        taken |= {name: pattern for name in free}
        made.append({**{key: value for key, value in group.items() if key != "match"}, "params": [left.pop(n) for n in free]})
    if not left and all(group.get("lr") == 0 for group in groups):
        raise KeyedError(("optimizer", "groups"), "lr is 0 for every parameter, and nothing is trained; there are "
                         f"{_some(names)}")
    return [*made, {"params": list(left.values())}]


def _why_none(pattern: str, matching: Sequence[str], taken: Mapping[str, str], names: Sequence[str]) -> str:
    if matching:
        earlier = ", ".join(dict.fromkeys(repr(taken[name]) for name in matching))
        return (f"only what {earlier} before it took ({_some(matching)}); put it before, or leave it out; "
                f"the parameters are {_some(names)}")
    near = difflib.get_close_matches(pattern, names, 1)
    return f"no parameter; {f'did you mean {near[0]!r}? ' if near else ''}there are {_some(names)}"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if names[SHOWN:] else "")
