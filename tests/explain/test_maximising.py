import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import serial
from fcnn.core.network import start_network
from fcnn.explain import activation_maximisation
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.pooling import global_avg_pool

MODEL = serial(conv(6), jax.nn.relu, global_avg_pool, dense(3))
X = random.uniform(random.key(0), (64, 12, 12, 3))


@pytest.fixture(scope="module")
def network():
    return start_network(
        MODEL, random.key(1), X, input=jax.ShapeDtypeStruct((12, 12, 3), "float32")
    )


def test_outputs_grow_beyond_those_of_any_random_picture(network):
    found = activation_maximisation(network, [0, 1, 2], steps=64)
    assert found.shape == (3, 12, 12, 3)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    reached = np.diag(network(found))
    assert (reached > np.asarray(network(X)).max(0) + 0.3).all()


def test_a_channel_of_a_layer_grows_on_average_over_positions(network):
    found = activation_maximisation(network, 4, "conv1", steps=64)
    mean = [
        np.asarray(conv(6).apply(network.params["conv1"], {}, x)[0])[..., 4].mean((1, 2))
        for x in (found, X)
    ]
    assert mean[0].shape == (1,)
    assert mean[0] > mean[1].max() + 0.1


@pytest.mark.slow
def test_a_picture_depends_on_its_channel_and_the_seed_alone(network):
    first = activation_maximisation(network, 1, steps=8)
    np.testing.assert_array_equal(activation_maximisation(network, 1, steps=8), first)
    assert not np.allclose(activation_maximisation(network, 1, steps=8, seed=1), first)
    assert not np.allclose(activation_maximisation(network, 2, steps=8), first)


@pytest.mark.slow
def test_values_stay_within_their_limits(network):
    found = activation_maximisation(network, 1, steps=64, limits=(-2, 3))
    assert -2 <= found.min() < -1
    assert 2 < found.max() <= 3


@pytest.mark.parametrize("shape", [(16, 2), pytest.param((4, 6, 5, 1), marks=pytest.mark.slow)])
def test_signals_and_volumes_are_climbed_too(shape):
    model = serial(conv(4), jnp.tanh, global_avg_pool, dense(2))
    network = start_network(model, random.key(0), jnp.zeros((1, *shape)))
    assert activation_maximisation(network, 0, shape=shape, steps=2).shape == (1, *shape)


def test_questions_without_an_answer_are_refused(network):
    for channel in (3, -1, 0.5, [[0]], True):
        with pytest.raises(ValueError, match="channels are integers from 0 to 2, got"):
            activation_maximisation(network, channel)
    with pytest.raises(ValueError, match="no output is called 'conv9'; there are conv1"):
        activation_maximisation(network, 0, "conv9")
    with pytest.raises(ValueError, match=r"say shape=\(height, width, channels\)"):
        activation_maximisation(network.replace(input=None), 0)
    with pytest.raises(ValueError, match=r"\(height, width, channels\), got \(3,\)"):
        activation_maximisation(network, 0, shape=(3,))
    with pytest.raises(ValueError, match="steps must be a positive integer"):
        activation_maximisation(network, 0, steps=0)
    for option in ({"limits": (1, 1)}, {"rate": 0}, {"shift": -1}):
        with pytest.raises(ValueError, match=f"^{next(iter(option))} .*, got "):
            activation_maximisation(network, 0, **option)
