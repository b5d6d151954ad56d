"""optimizer.groups of a config: which parameters are in which group, what lr means then, and every mistake's line."""

import signal
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnkit
from nnkit import nn, optim
from nnkit.commands.show import main as show
from nnkit.training import config as configs
from nnkit.training import updates
from nnkit.training.checkpoints import load_checkpoint
from nnkit.training.groups import parameter_groups
from nnkit.training.making import make_optimizer, recipe_file
from nnkit.training.recipe import load_recipe
from nnkit.training.schema import RunConfig, sections_in

RECIPE = Path(__file__).parent / "recipes/net.py"
NAMES = ["first.weight", "first.bias", "second.weight", "second.bias"]
KINDS = ["SGD", "Adagrad", "Adam", "AdamW", "RMSProp"]
SECTIONS = [getattr(updates, f"{kind}Config") for kind in KINDS]


@pytest.fixture
def net(tmp_path, monkeypatch):
    """net(text) writes a config with this `optimizer` and returns its path."""
    monkeypatch.chdir(tmp_path)

    def writing(optimizer, more="training: {epochs: 3}"):
        (tmp_path / "net.yaml").write_text(f"recipe: {RECIPE}\noptimizer: {optimizer}\n{more}\n", encoding="utf-8")
        return tmp_path / "net.yaml"
    return writing


@pytest.fixture
def refused(net, tmp_path):
    """refused(text) is the error of a training with this `optimizer`; it leaves no folder behind."""
    def failing(optimizer, *overrides):
        with pytest.raises(nnkit.ConfigError) as caught:
            nnkit.fit(net(optimizer), overrides, quiet=True)
        assert caught.value.exit_code == 2 and not list(tmp_path.glob("runs/*"))
        return str(caught.value).replace(f"{tmp_path}/", "")
    return failing


def model():
    return load_recipe(RECIPE)(RunConfig(recipe="x")).build(np.random.default_rng([1, 0]))


def weights(module):
    return {name: p.value.copy() for name, p in module.named_parameters()}


# Which parameters

PATTERNS = st.sampled_from(["*", "*.bias", "first.*", "s*", "?????.weight", "[fs]*.bias", "second.weight", "third.*", "FIRST.*"])


@given(st.lists(PATTERNS, min_size=1, max_size=4))
def test_a_parameter_is_in_the_first_group_that_matches_and_in_the_last_where_none_does(patterns):
    net = model()
    first = {name: next((i for i, p in enumerate(patterns) if fnmatchcase(name, p)), len(patterns)) for name in NAMES}
    empty = [i for i in range(len(patterns)) if i not in first.values()]
    given_groups = [{"match": p, "lr": 0.5} for p in patterns]
    if empty:
        with pytest.raises(nnkit.ConfigError) as caught:
            parameter_groups(net, given_groups)
        assert str(caught.value).startswith(f"optimizer.groups[{empty[0]}].match: {patterns[empty[0]]!r} matches ")
        assert str(caught.value).endswith(f"are {', '.join(NAMES)}")
        return
    names = {id(p): name for name, p in net.named_parameters()}
    made = parameter_groups(net, given_groups)
    assert {names[id(p)]: i for i, group in enumerate(made) for p in group["params"]} == first
    assert [group.get("lr") for group in made] == [0.5] * len(patterns) + [None]


def test_a_run_is_that_of_an_optimizer_with_these_groups(net):
    path = net("{lr: 0.05, momentum: 0.5, groups: [{match: '*.bias', lr: 0.1}, "
               "{match: first.*, weight_decay: 0.2, momentum: 0}]}")
    run = nnkit.fit(path, quiet=True)
    recipe, other = load_recipe(RECIPE)(run.recipe.config), model()
    parameters = dict(other.named_parameters())
    optimizer = optim.SGD([{"params": [parameters["first.bias"], parameters["second.bias"]], "lr": 0.1},
                           {"params": [parameters["first.weight"]], "weight_decay": 0.2, "momentum": 0.0},
                           {"params": [parameters["second.weight"]]}], lr=0.05, momentum=0.5)
    for epoch in range(3):
        for batch in recipe.batches(epoch, np.random.default_rng([1, 1, epoch])):
            optimizer.zero_grad()
            recipe.loss(other, batch).backward()
            optimizer.step()
    for name, value in weights(other).items():
        np.testing.assert_array_equal(weights(run.model)[name], value)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_group_has_the_keys_of_its_section_with_their_types_bounds_and_help(section):
    [group] = sections_in(section.model_fields["groups"].annotation)
    own = {name for name in section.model_fields if name not in ("type", "groups")}
    assert group.model_fields.keys() == own | {"match"}
    for name in own - {"lr"}:
        ours, theirs = group.model_fields[name], section.model_fields[name]
        assert (ours.annotation, ours.metadata, ours.description) == (theirs.annotation, theirs.metadata, theirs.description)


# What lr means

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", [False, True])
def test_lr_0_freezes_to_the_bit_whatever_gradient_and_decay(net, kind, trouble):
    settings = configs.validate(configs.read_tree(net(
        f"{{type: {kind}, lr: 0.1, weight_decay: 0.1, groups: [{{match: first.*, lr: 0}}]}}"), []), RunConfig)
    one = model()
    one.first.weight.value[0, 0] = -0.0
    before, optimizer = weights(one), make_optimizer(settings, one)
    for value in (0.1, 0.0, 0.2):
        optimizer.lr = value
        for name, p in one.named_parameters():
            p.grad = np.full_like(p.value, np.nan if trouble and name.startswith("first") else 1.0)
        optimizer.step()
    after = weights(one)
    for name in NAMES:
        assert (after[name].tobytes() == before[name].tobytes()) == name.startswith("first")


def test_frozen_in_a_whole_training_with_accumulation_and_clipping(net):
    path = net("{lr: 0.1, weight_decay: 0.1, momentum: 0.9, groups: [{match: '*.weight', lr: 0}]}",
               "training: {epochs: 2, accumulate: 3, clip_norm: 0.5}\nschedule: {type: cosine, warmup: 0.3}")
    run, before = nnkit.fit(path, quiet=True), weights(model())
    for name, value in weights(run.model).items():
        assert (value.tobytes() == before[name].tobytes()) == name.endswith("weight")


def test_the_lr_in_the_log_is_the_sections_even_where_every_parameter_has_its_own(net):
    path = net("{lr: 0.2, groups: [{match: first.*, lr: 0}, {match: '*', lr: 0.02}]}",
               "schedule: {type: linear, end: 0}\nlog: {every: 1 step}\ntraining: {epochs: 2}")
    run = nnkit.fit(path, quiet=True)
    rates = [row["lr"] for row in run.metrics if row["event"] == "train"]
    assert rates == pytest.approx([0.2 * (1 - i / 14) for i in range(14)])
    other = model()
    rest = path.read_text(encoding="utf-8").split("\n", 2)[2]
    plain = nnkit.fit(net("{lr: 0.02, groups: [{match: first.*, lr: 0}]}", rest), quiet=True)
    np.testing.assert_allclose(weights(run.model)["second.weight"], weights(plain.model)["second.weight"], rtol=1e-5)
    assert (weights(run.model)["second.weight"] != weights(other)["second.weight"]).any()


def test_a_section_with_groups_alone_keeps_the_recipes_optimizer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sgns.yaml").write_text("recipe: sgns\noptimizer: {groups: [{match: words.*, lr: 0.5}]}\n", encoding="utf-8")
    tree = configs.read_tree("sgns.yaml", [])
    recipe = load_recipe(recipe_file(tree))
    settings = configs.validate(tree, recipe.Config)
    assert settings.optimizer.lr == recipe.Config.model_fields["optimizer"].default.lr
    assert settings.optimizer.model_dump()["groups"] == [{"match": "words.*", "lr": 0.5}]


# Mistakes

@pytest.mark.parametrize("optimizer, said", [
    ("{groups: [{match: '*', weight_decai: 0}]}",
     "net.yaml:2:35: unknown key 'weight_decai' in optimizer.groups[0]; did you mean 'weight_decay'?"),
    ("{groups: [{match: '*', alpha: 0.5}]}",
     "net.yaml:2:35: unknown key 'alpha' in optimizer.groups[0]; it belongs to type RMSProp: leave it out"),
    ("{groups: [{lr: 0.5}]}", "net.yaml:2:22: missing key 'match' in optimizer.groups[0]; it is the names of parameters, as a "
                              "shell pattern: embedding.*, *.bias"),
    ("{groups: [{match: '*', lr: -1}]}", "net.yaml:2:39: optimizer.groups[0].lr: expected a number of at least 0, got -1"),
    ("{groups: [{match: '*', lr: null}]}", "net.yaml:2:39: optimizer.groups[0].lr: expected a number, got null"),
    ("{groups: [{match: '*', momentum: 1}]}",
     "net.yaml:2:45: optimizer.groups[0].momentum: expected a number less than 1, got 1"),
    ("{type: Adam, groups: [{match: '*', betas: [0.5, 2]}]}",
     "net.yaml:2:60: optimizer.groups[0].betas[1]: expected a number less than 1, got 2"),
    ("{groups: [{match: '*.bias'}, {match: '*', nesterov: true}]}",
     "net.yaml:2:41: optimizer.groups[1]: SGD: nesterov needs a momentum above 0"),
    ("{momentum: 0.9, nesterov: true, groups: [{match: '*', momentum: 0}]}",
     "net.yaml:2:53: optimizer.groups[0]: SGD: nesterov needs a momentum above 0"),
    ("{groups: {match: '*'}}", "net.yaml:2:21: optimizer.groups: expected a list, got a section"),
])
def test_a_mistake_in_a_group_has_its_place(refused, optimizer, said):
    assert refused(optimizer) == said


@pytest.mark.parametrize("groups, said", [
    ("[{match: frist.weight}]", "net.yaml:2:23: optimizer.groups[0].match: 'frist.weight' matches no parameter; "
                                "did you mean 'first.weight'? "
                                "there are first.weight, first.bias, second.weight, second.bias"),
    ("[{match: '*.bias', lr: 0}, {match: first.bias}]",
     "net.yaml:2:49: optimizer.groups[1].match: 'first.bias' matches only what '*.bias' before it took (first.bias); "
     "put it before, or leave it out; the parameters are first.weight, first.bias, second.weight, second.bias"),
    ("[{match: '*', lr: 0}]", "net.yaml:2:13: optimizer.groups: lr is 0 for every parameter, and nothing is trained; there are "
                              "first.weight, first.bias, second.weight, second.bias"),
])
def test_a_pattern_of_no_use_is_refused_with_the_names_there_are(refused, groups, said):
    assert refused(f"{{groups: {groups}}}") == said


def test_of_many_names_some_are_shown():
    with pytest.raises(nnkit.ConfigError, match=r"layers\.0\.weight, .* and 60 more$"):
        parameter_groups(nn.Sequential(*(nn.Linear(1, 1) for _ in range(50))), [{"match": "embedding.*"}])


# Runs

@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_groups_resumes_to_the_bit(net, kind):
    own = {"SGD": "momentum: 0.9", "Adagrad": "initial_accumulator_value: 0.5", "Adam": "betas: [0.5, 0.9]",
           "AdamW": "amsgrad: true", "RMSProp": "centered: true, momentum: 0.5"}[kind]
    text = (f"{{type: {kind}, lr: 0.02, groups: [{{match: '*.bias', {own}}}, {{match: first.*, lr: 0}}, "
            f"{{match: second.*, lr: 0.01}}]}}")
    path = net(text, "training: {epochs: 3}\nschedule: {type: cosine, warmup: 0.2}\nlog: {every: 1 step}")
    unbroken = nnkit.fit(path, quiet=True)
    broken = nnkit.fit(path, quiet=True, on_log=lambda row: row["step"] == 10 and signal.raise_signal(signal.SIGINT))
    assert broken.exit_code == 130
    resumed = nnkit.resume(broken.path, quiet=True)
    one, other = (load_checkpoint(run.directory.path("checkpoints/last.npz")) for run in (unbroken, resumed))
    assert one[0].keys() == other[0].keys() and all(one[0][name].tobytes() == other[0][name].tobytes() for name in one[0])
    assert one[1]["values"] == other[1]["values"]


def test_the_runs_own_config_has_what_was_given_and_show_prints_it(net, capsys):
    run = nnkit.fit(net("{lr: 0.1, groups: [{match: '*.bias', lr: 0}]}"), quiet=True)
    assert "  groups:\n  - match: '*.bias'\n    lr: 0.0\n" in run.directory.path("config.yaml").read_text(encoding="utf-8")
    assert show([str(run.path)]) == 0
    assert "optimizer.groups: [{match: '*.bias', lr: 0.0}]" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no workers")
def test_workers_have_groups_too_and_refuse_what_keeps_a_state(tiny):
    run = nnkit.fit(tiny, ["training.workers=2", "optimizer={lr: 0.05, groups: [{match: words.*, lr: 0}]}"], quiet=True)
    alone = nnkit.fit(tiny, ["training.epochs=1", "optimizer={lr: 0.05, groups: [{match: words.*, lr: 0}]}"], quiet=True)
    first = alone.recipe.build(np.random.default_rng([1, 0]))
    for one in (run, alone):
        assert one.model.words.weight.value.tobytes() == first.words.weight.value.tobytes()
        assert (one.model.contexts.weight.value != first.contexts.weight.value).any()
    with pytest.raises(nnkit.ConfigError, match=r"training\.workers: 2: the optimizer keeps a state .*; leave momentum out of "
                                                r"optimizer\.groups, or set training\.workers: 1$"):
        nnkit.fit(tiny, ["training.workers=2", "optimizer={groups: [{match: contexts.*, momentum: 0.5}]}"], quiet=True)
