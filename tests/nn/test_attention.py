"""MultiHeadAttention and the Transformer's layers: shapes, masks, options, names of parameters, and the mistakes they answer."""

import re

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, check_gradients, default_dtype, losses, nn, optim


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def layers(**options):
    """One of each, of 4 numbers and 2 heads, and a function of one input and (mask, padding, causal)."""
    attention = nn.MultiHeadAttention(4, 2, **options)
    encoder, decoder = (kind(4, 2, 6, **{"dropout": 0.0, **options})
                        for kind in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer))

    def attend(x, mask=None, padding=None, causal=False):
        return attention(x, x, x, padding, need_weights=False, attn_mask=mask, is_causal=causal)[0]

    def decode(x, mask=None, padding=None, causal=False):
        return decoder(x, x, mask, mask, padding, padding, causal, causal)

    return [(attention, attend), (encoder, encoder), (decoder, decode)]


@pytest.mark.parametrize("bias", [True, False])
def test_names_and_shapes_of_the_weights_are_pytorchs_transposed(bias):
    of_attention = [("in_proj_weight", (4, 12)), ("in_proj_bias", (12,)), ("out_proj.weight", (4, 4)), ("out_proj.bias", (4,))]
    rest = [("linear1.weight", (4, 6)), ("linear1.bias", (6,)), ("linear2.weight", (6, 4)), ("linear2.bias", (4,))]
    norms = [(f"norm{i}.{name}", (4,)) for i in (1, 2, 3) for name in ("weight", "bias")]
    parts = [[(f"{part}.{name}", shape) for name, shape in of_attention] for part in ("self_attn", "multihead_attn")]
    expected = [of_attention, [*parts[0], *rest, *norms[:4]], [*parts[0], *parts[1], *rest, *norms]]
    for (layer, _), names in zip(layers(bias=bias, rng=0), expected):
        assert [(n, p.shape) for n, p in layer.named_parameters()] == [x for x in names if bias or not x[0].endswith("bias")]


def test_projections_start_as_pytorchs():
    layer = nn.MultiHeadAttention(100, 4, rng=0)
    bound = (6 / 400) ** 0.5
    assert 0.99 * bound < np.abs(layer.in_proj_weight.value).max() <= bound
    assert np.abs(layer.out_proj.weight.value).max() <= 0.1
    assert not layer.in_proj_bias.value.any() and not layer.out_proj.bias.value.any()


def test_attention_is_its_equation():
    layer, x, y = nn.MultiHeadAttention(6, 2, batch_first=True, rng=0), normal(2, 3, 6), normal(2, 5, 6, seed=1)
    layer.in_proj_bias.value[:] = normal(18, seed=2)
    w, b = layer.in_proj_weight.value.astype(float), layer.in_proj_bias.value
    output, weights = layer(x, y, y * 2, average_attn_weights=False)
    heads = []
    for h in range(2):
        columns = [slice(6 * i + 3 * h, 6 * i + 3 * h + 3) for i in range(3)]
        q, k, v = (a @ w[:, c] + b[c] for a, c in zip((x, y, y * 2), columns))
        e = np.exp(q @ k.swapaxes(1, 2) / 3 ** 0.5)
        np.testing.assert_allclose(weights.value[:, h], e / e.sum(-1, keepdims=True), rtol=1e-5)
        heads.append(weights.value[:, h] @ v)
    expected = np.concatenate(heads, axis=2) @ layer.out_proj.weight.value
    np.testing.assert_allclose(output.value, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("which", range(3))
def test_batch_first_turns_input_and_output(which):
    x = normal(2, 5, 4)
    y = layers(batch_first=True, rng=0)[which][1](x)
    assert y.shape == (2, 5, 4) and y.dtype == np.float32
    np.testing.assert_allclose(y.value.swapaxes(0, 1), layers(rng=0)[which][1](x.swapaxes(0, 1)).value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("batch_first", [True, False])
def test_one_sequence_alone_has_no_axis_for_the_batch(which, batch_first):
    x, padding = normal(5, 4), np.array([False, False, True, False, True])
    call = layers(batch_first=batch_first, rng=0)[which][1]
    batch, alone = call(x[None] if batch_first else x[:, None], None, padding[None]), call(x, None, padding)
    np.testing.assert_allclose(alone.value, np.squeeze(batch.value, 0 if batch_first else 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("need_weights", [True, False])
def test_shapes_of_the_weights_of_attention(need_weights):
    layer, x, y = nn.MultiHeadAttention(4, 2, rng=0), normal(3, 2, 4), normal(5, 2, 4)
    for mean, shape in ((True, (2, 3, 5)), (False, (2, 2, 3, 5))):
        output, weights = layer(x, y, y, need_weights=need_weights, average_attn_weights=mean)
        assert output.shape == (3, 2, 4)
        if not need_weights:
            assert weights is None
        else:
            assert weights.shape == shape
            np.testing.assert_allclose(weights.value.sum(-1), 1, rtol=1e-6)
    assert layer(x[:, 0], y[:, 0], y[:, 0])[1].shape == (3, 5)


def test_with_or_without_weights_the_output_is_the_same():
    layer, x, mask = nn.MultiHeadAttention(4, 2, rng=0), normal(5, 2, 4), normal(5, 5) > 0.5
    one, other = (layer(x, x, x, attn_mask=mask, need_weights=need, is_causal=True)[0] for need in (True, False))
    np.testing.assert_allclose(one.value, other.value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", range(3))
def test_no_place_sees_a_later_one(which):
    call = layers(batch_first=True, rng=0)[which][1]
    x, changed = normal(2, 5, 4), normal(2, 5, 4)
    changed[:, 3:] += 1
    above = np.triu(np.ones((5, 5), bool), 1)
    one, other, by_mask = call(x, None, None, True), call(changed, None, None, True), call(x, above)
    np.testing.assert_array_equal(one.value[:, :3], other.value[:, :3])
    assert (one.value[:, 3:] != other.value[:, 3:]).any(axis=2).all()
    np.testing.assert_allclose(by_mask.value, one.value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("which", range(3))
def test_what_is_padding_counts_nothing(which):
    call = layers(batch_first=True, rng=0)[which][1]
    x, lengths = normal(3, 5, 4), np.array([2, 5, 1])
    padding = np.arange(5) >= lengths[:, None]
    y = call(x, None, padding).value
    for k, n in enumerate(lengths):
        np.testing.assert_allclose(y[k, :n], call(x[k:k + 1, :n]).value[0], rtol=1e-4, atol=1e-5)


def test_a_sequence_that_is_all_padding_gives_the_last_bias_and_no_nan():
    layer, x = nn.MultiHeadAttention(4, 2, batch_first=True, rng=0), Tensor(normal(2, 3, 4))
    layer.out_proj.bias.value[:] = [1, 2, 3, 4]
    padding = np.array([[False] * 3, [True] * 3])
    for need_weights in (True, False):
        y, _ = layer(x, x, x, padding, need_weights=need_weights)
        np.testing.assert_array_equal(y.value[1], [[1, 2, 3, 4]] * 3)
        x.grad = None
        y.sum().backward()
        assert np.isfinite(y.value).all() and np.isfinite(x.grad).all() and not x.grad[1].any()


def test_a_mask_for_every_head_of_every_sequence():
    layer, x = nn.MultiHeadAttention(4, 2, batch_first=True, rng=0), normal(3, 5, 4)
    mask = normal(6, 5, 5, seed=1) > 0.7
    whole = layer(x, x, x, attn_mask=mask, average_attn_weights=False)[1].value
    assert (whole == 0)[mask.reshape(3, 2, 5, 5)].all() and (whole > 0)[~mask.reshape(3, 2, 5, 5)].all()


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("options", [{}, {"bias": False}])
def test_whole_layers_pass_the_gradient_check(which, options):
    with default_dtype(np.float64):
        layer, call = layers(rng=0, **options)[which]
        parameters = dict(layer.named_parameters())

        def loss(x, *values):
            for name, value in zip(parameters, values):
                owner = layer
                *path, last = name.split(".")
                for part in path:
                    owner = getattr(owner, part)
                setattr(owner, last, value)
            padding = np.array([[False, False, True], [False] * 3])
            return (call(x, None, padding, True) ** 3).sum()

        values = [p.value for p in parameters.values()]
        assert check_gradients(loss, normal(3, 2, 4, dtype=np.float64), *values) >= 24 + sum(value.size for value in values)


@pytest.mark.parametrize("which", range(3))
def test_dropout_is_for_training_alone(which):
    x = normal(5, 2, 4)
    (layer, call), (_, plain) = layers(dropout=0.5, rng=0)[which], layers(rng=0)[which]
    assert (call(x).value != call(x).value).any()
    layer.eval()
    np.testing.assert_allclose(call(x).value, plain(x).value, rtol=1e-5, atol=1e-6)


def test_dropped_weights_are_those_that_come_back():
    layer, x = nn.MultiHeadAttention(4, 2, dropout=0.5, batch_first=True, rng=0), normal(8, 5, 4)
    weights = layer(x, x, x, average_attn_weights=False)[1].value
    assert 0.4 < (weights == 0).mean() < 0.6 and [name for name, _ in layer.named_generators()] == ["rng"]


@pytest.mark.parametrize("which", range(3))
def test_saved_and_loaded_it_is_the_same(which, tmp_path):
    (one, call), (other, other_call) = layers(rng=0)[which], layers(rng=1)[which]
    nnkit.save(one, tmp_path / "layer.npz")
    nnkit.load_into(other, tmp_path / "layer.npz")
    np.testing.assert_array_equal(call(normal(5, 2, 4)).value, other_call(normal(5, 2, 4)).value)
    other.load_state_dict(one.state_dict())


@pytest.mark.parametrize("which", range(3))
def test_a_recording_takes_other_padding_at_every_run(which):
    call = layers(batch_first=True, rng=0)[which][1]
    x = normal(2, 3, 4)

    def loss(x, padding):
        y = call(x, None, padding)
        return (y * y).sum()

    step = nnkit.record(loss)
    for lengths in ([1, 3], [3, 3], [2, 1]):
        padding = np.arange(3) >= np.array(lengths)[:, None]
        assert float(step(x, padding)) == float(loss(x, padding))


@pytest.mark.parametrize("norm_first", [False, True])
def test_it_learns_to_look_one_place_back(norm_first):
    ids = np.random.default_rng(0).integers(0, 4, (32, 6))
    table, positions = nn.Embedding(4, 16, rng=0), nn.PositionalEncoding(16, dropout=0.0, batch_first=True)
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=norm_first, rng=1)
    head = nn.Linear(16, 4, rng=2)
    optimizer = optim.Adam([p for m in (table, layer, head) for p in m.parameters()], lr=0.01)
    for _ in range(120):
        logits = head(layer(positions(table(ids)), is_causal=True))
        loss = losses.cross_entropy(logits[:, 1:].reshape(-1, 4), ids[:, :-1].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.1


def test_sines_are_the_equation():
    y = nn.PositionalEncoding(5, dropout=0.0, max_len=9)(np.zeros((9, 5), np.float32))
    expected = [[np.sin(t / 1e4 ** (i / 5)) if i % 2 == 0 else np.cos(t / 1e4 ** ((i - 1) / 5)) for i in range(5)]
                for t in range(9)]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.value, expected, atol=1e-6)
    assert not nn.PositionalEncoding(4).state_dict()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("learned", [False, True])
def test_every_sequence_gets_the_same_positions(batch_first, learned):
    layer = nn.PositionalEncoding(4, 0.0, 9, learned, batch_first, rng=0)
    table = layer.weight.value if learned else layer.weight
    y = layer(np.zeros((2, 3, 4), np.float32)).value
    np.testing.assert_array_equal(y, np.broadcast_to(table[:3] if batch_first else table[:2, None], (2, 3, 4)))
    assert [name for name, _ in layer.named_parameters()] == (["weight"] if learned else [])
    if learned:
        layer(np.zeros((2, 3, 4))).sum().backward()
        assert (layer.weight.grad.sum(axis=1) > 0).sum() == (3 if batch_first else 2)


BY_HEADS = "MultiHeadAttention(4, 2)"


@pytest.mark.parametrize("inputs", [
    [(5, 2, 3)] * 3, [(4,)] * 3, [(5, 2, 4), (5, 3, 4), (5, 3, 4)], [(5, 2, 4), (3, 2, 4), (2, 2, 4)],
    [(5, 4), (5, 1, 4), (5, 1, 4)], [(5, 2, 4), (3, 2, 4), (3, 2, 3)]])
def test_inputs_that_do_not_fit_name_the_layer_and_the_shapes(inputs):
    with pytest.raises(ValueError) as error:
        nn.MultiHeadAttention(4, 2, rng=0)(*(normal(*shape) for shape in inputs))
    said = str(error.value)
    assert said.startswith(f"{BY_HEADS}: expected query (length, batch, 4), key and value (source, batch, 4) or")
    assert "\n" not in said and said.endswith(f"got {inputs[0]}, {inputs[1]} and {inputs[2]}")


@pytest.mark.parametrize("name, mask, error, said", [
    ("attn_mask", np.zeros((5, 5)), TypeError, "expected a boolean attn_mask, True where a place must not be looked at, got "
     "float64; of one that is added, 0 and -inf, take mask != 0"),
    ("attn_mask", np.zeros((5, 5), int), TypeError, "got int64"),
    ("attn_mask", np.zeros((5, 4), bool), ValueError, "expected attn_mask of shape (5, 5) or (4, 5, 5), got (5, 4)"),
    ("attn_mask", np.zeros((2, 5, 5), bool), ValueError, "(5, 5) or (4, 5, 5), got (2, 5, 5)"),
    ("key_padding_mask", np.zeros((2, 5)), TypeError, "expected a boolean key_padding_mask"),
    ("key_padding_mask", np.zeros((5, 2), bool), ValueError, "expected key_padding_mask of shape (2, 5), got (5, 2)"),
    ("key_padding_mask", np.zeros((5,), bool), ValueError, "(2, 5), got (5,)")])
def test_masks_that_do_not_fit_name_the_layer(name, mask, error, said):
    with pytest.raises(error, match=f"^{re.escape(BY_HEADS)}: .*{re.escape(said)}"):
        nn.MultiHeadAttention(4, 2, rng=0)(*[normal(5, 2, 4)] * 3, **{name: mask})


@pytest.mark.parametrize("make, said", [
    (lambda: nn.MultiHeadAttention(6, 4), "MultiHeadAttention: expected an embed_dim that num_heads divides, got 6 and 4"),
    (lambda: nn.MultiHeadAttention(4, 0), "got 4 and 0"), (lambda: nn.MultiHeadAttention(0, 2), "got 0 and 2"),
    (lambda: nn.MultiHeadAttention(4, 2, dropout=1.0), "dropout must be at least 0 and less than 1, got 1.0"),
    (lambda: nn.TransformerEncoderLayer(6, 4), "that num_heads divides, got 6 and 4"),
    (lambda: nn.TransformerDecoderLayer(4, 2, activation="tanh"),
     "TransformerDecoderLayer: activation must be 'relu' or 'gelu', got 'tanh'"),
    (lambda: nn.PositionalEncoding(0), "PositionalEncoding: expected d_model and max_len of at least 1, got 0 and 5000"),
    (lambda: nn.PositionalEncoding(4, max_len=3, dropout=0.0)(normal(4, 2, 4)),
     "PositionalEncoding(4, dropout=0.0, max_len=3): expected an input of shape (length, batch, 4) or, for one sequence, "
     "(length, 4), of at most 3 places, got (4, 2, 4)"),
    (lambda: nn.PositionalEncoding(4, batch_first=True)(normal(4, 2, 3)), "shape (batch, length, 4)")])
def test_options_and_inputs_that_cannot_be_are_refused(make, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


def test_repr_is_how_it_was_made():
    for text in ("MultiHeadAttention(4, 2)", "MultiHeadAttention(4, 2, dropout=0.5, bias=False, batch_first=True)",
                 "TransformerEncoderLayer(4, 2)", "PositionalEncoding(4, dropout=0.1, max_len=7, learned=True, batch_first=True)",
                 "TransformerDecoderLayer(4, 2, dim_feedforward=8, dropout=0.0, activation='gelu', norm_first=True, bias=False)"):
        assert repr(eval(f"nn.{text}")) == text
