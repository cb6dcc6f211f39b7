"""Recurrent layers against torch, and against a loop in float64 numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fcnn.layers.recurrent import gru, lstm


def numbers(*shape, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def start(layer, x):
    params, _ = layer.init(jax.random.key(0), x)
    return {name: p + numbers(*p.shape, seed=p.size, scale=0.1) for name, p in params.items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_loop(params, xs):
    p = {name: np.float64(value) for name, value in params.items()}
    h = c = np.zeros((xs.shape[0], p["recurrent_kernel"].shape[0]))
    hs = []
    for x in np.moveaxis(np.float64(xs), 1, 0):
        z = x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"]
        i, f, g, o = np.split(z, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        hs.append(h)
    return np.stack(hs, 1)


def gru_loop(params, xs):
    p = {name: np.float64(value) for name, value in params.items()}
    h = np.zeros((xs.shape[0], p["recurrent_kernel"].shape[0]))
    hs = []
    for x in np.moveaxis(np.float64(xs), 1, 0):
        r, z, n = np.split(x @ p["kernel"] + p["bias"], 3, -1)
        hr, hz, hn = np.split(h @ p["recurrent_kernel"] + p["recurrent_bias"], 3, -1)
        z = sigmoid(z + hz)
        h = (1 - z) * np.tanh(n + sigmoid(r + hr) * hn) + z * h
        hs.append(h)
    return np.stack(hs, 1)


LOOPS = {lstm: lstm_loop, gru: gru_loop}


@pytest.mark.parametrize("make", LOOPS)
def test_each_state_is_that_of_the_loop_in_both_directions(make):
    x = numbers(2, 5, 3)
    params = start(make(4), x)
    hs = LOOPS[make](params, x)
    back = LOOPS[make](params, x[:, ::-1])[:, ::-1]
    for run, want in [
        (make(4), hs[:, -1]),
        (make(4, sequences=True), hs),
        (make(4, reverse=True), back[:, 0]),
        (make(4, sequences=True, reverse=True), back),
    ]:
        np.testing.assert_allclose(jax.jit(run.apply)(params, {}, x)[0], want, atol=1e-5)


@pytest.mark.parametrize("make", LOOPS)
def test_outputs_and_gradients_equal_torch(make):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    x, w = numbers(2, 5, 3), numbers(2, 5, 4, seed=1)
    params = start(make(4), x)
    theirs = {lstm: torch.nn.LSTM, gru: torch.nn.GRU}[make](3, 4, batch_first=True)
    recurrent_bias = params.get("recurrent_bias", np.zeros(16))
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.tensor(np.asarray(params["kernel"]).T.copy()))
        theirs.weight_hh_l0.copy_(torch.tensor(np.asarray(params["recurrent_kernel"]).T.copy()))
        theirs.bias_ih_l0.copy_(torch.tensor(np.asarray(params["bias"])))
        theirs.bias_hh_l0.copy_(torch.tensor(np.asarray(recurrent_bias)))
    tx = torch.tensor(x, requires_grad=True)
    ty = theirs(tx)[0]
    (ty * torch.tensor(w)).sum().backward()

    @jax.jit
    def run(params, x):
        y, pull = jax.vjp(lambda p, x: make(4, sequences=True).apply(p, {}, x)[0], params, x)
        return y, *pull(w)

    y, gp, gx = run(params, x)
    np.testing.assert_allclose(y, ty.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(gx, tx.grad.numpy(), atol=1e-4)
    np.testing.assert_allclose(gp["kernel"], theirs.weight_ih_l0.grad.numpy().T, atol=1e-4)
    np.testing.assert_allclose(
        gp["recurrent_kernel"], theirs.weight_hh_l0.grad.numpy().T, atol=1e-4
    )
    np.testing.assert_allclose(gp["bias"], theirs.bias_ih_l0.grad.numpy(), atol=1e-4)
    if make is gru:
        np.testing.assert_allclose(gp["recurrent_bias"], theirs.bias_hh_l0.grad.numpy(), atol=1e-4)


@pytest.mark.parametrize("make", LOOPS)
def test_gradients_are_those_of_finite_differences(make):
    with jax.enable_x64(True):
        x = jnp.asarray(numbers(2, 3, 2), jnp.float64)
        params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), start(make(3), x))
        loss = jax.jit(lambda params, x: (make(3).apply(params, {}, x)[0] ** 2).sum())
        check_grads(loss, (params, x), order=1, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("make", "gates"), [(lstm, 4), (gru, 3)])
def test_the_recurrent_kernel_starts_orthogonal_and_the_forget_gate_open(make, gates):
    params, state = make(4).init(jax.random.key(0), jax.ShapeDtypeStruct((2, 5, 3), "float32"))
    assert state == {}
    assert params["kernel"].shape == (3, gates * 4)
    for gate in np.split(np.asarray(params["recurrent_kernel"]), gates, -1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(4), atol=1e-5)
    assert params["bias"].tolist() == ([0] * 4 + [1] * 4 + [0] * 8 if make is lstm else [0] * 12)


@pytest.mark.parametrize("make", LOOPS)
def test_what_cannot_work_is_refused(make):
    with pytest.raises(ValueError, match="features must be a positive integer"):
        make(0)
    with pytest.raises(ValueError, match=rf"{make.__name__} needs input \[n, length, c\]"):
        make(4).init(None, np.ones((2, 3), np.float32))
    with pytest.raises(TypeError, match=f"{make.__name__} computes in floating point"):
        make(4).init(None, np.ones((2, 3, 4), int))
