"""U-Net."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fcnn
from fcnn import models, trees

X = np.random.default_rng(0).normal(size=(2, 16, 24, 1)).astype(np.float32)


def test_it_has_the_parameters_of_the_paper():
    gray = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)
    params, _ = jax.eval_shape(models.unet().init, jax.random.key(0), gray)
    assert trees.count(params) == 31_030_658
    assert params["bottom"]["conv2"]["kernel"].shape == (3, 3, 1024, 1024)
    assert params["join4"]["conv1"]["kernel"].shape == (3, 3, 1024, 512)


@pytest.mark.parametrize(("width", "depth"), [(4, 1), (3, 3)])
def test_each_pixel_has_logits_whatever_width_and_depth(width, depth):
    model = models.unet(classes=5, width=width, depth=depth)
    params, state = model.init(jax.random.key(0), X)
    assert params[f"up{depth}"]["kernel"].shape[-1] == width * 2**depth
    assert model.apply(params, state, X)[0].shape == (2, 16, 24, 5)
    features = models.unet(classes=0, width=width, depth=depth)
    assert fcnn.out_spec(features, X).shape == (2, 16, 24, width)


def test_sides_that_cannot_be_halved_so_often_are_refused_with_what_to_do():
    model = models.unet(width=2, depth=3)
    text = r"unet halves .* 3 times and needs multiples of 8, got float32\[2,16,20,1\]; .*depth"
    with pytest.raises(ValueError, match=text):
        model.init(jax.random.key(0), X[:, :, :20])
    params, state = model.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match=text):
        model.apply(params, state, X[:, :, :20])
    with pytest.raises(ValueError, match="depth must be 1 or more, got 0"):
        models.unet(depth=0)
    with pytest.raises(ValueError, match="unet takes images"):
        model.init(jax.random.key(0), X[0])


def test_what_was_seen_before_a_pooling_reaches_the_end_past_the_bottom():
    model = models.unet(classes=2, width=4, depth=2)
    params, state = model.init(jax.random.key(0), X)
    params["up1"] = jax.tree.map(jnp.zeros_like, params["up1"])  # closes the way from below
    gradient = jax.grad(lambda x: model.apply(params, state, x)[0][0, 8, 8, 0])(jnp.asarray(X))
    rows, columns = np.nonzero(np.abs(gradient[0, :, :, 0]))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 12, 4, 12)


@pytest.mark.slow
def test_it_learns_where_a_square_lies():
    rng = np.random.default_rng(0)
    x, y = np.zeros((32, 16, 16, 1), np.float32), np.zeros((32, 16, 16), np.int32)
    for i, (row, column) in enumerate(rng.integers(0, 11, (32, 2))):
        x[i, row : row + 5, column : column + 5] = 1
        y[i, row : row + 5, column : column + 5] = 1
    x += rng.normal(0, 0.3, x.shape).astype(np.float32)
    model = models.unet(width=4, depth=2, norm=True)
    params, state = model.init(jax.random.key(0), x)

    optimizer = optax.adam(0.02)

    @jax.jit
    def step(params, state, memory):
        def loss(params):
            logits, after = model.apply(params, state, x, train=True)
            return fcnn.losses.cross_entropy(logits.reshape(-1, 2), y.reshape(-1)).mean(), after

        gradients, state = jax.grad(loss, has_aux=True)(params)
        updates, memory = optimizer.update(gradients, memory)
        return optax.apply_updates(params, updates), state, memory

    memory = optimizer.init(params)
    for _ in range(40):
        params, state, memory = step(params, state, memory)
    found = model.apply(params, state, x, train=True)[0].argmax(-1)
    assert (found == y).mean() > 0.98  # 0.90 are background
