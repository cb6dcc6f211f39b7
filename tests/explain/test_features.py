import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import serial, wire
from fcnn.core.network import start_network
from fcnn.explain import feature_maps, filters
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.reshaping import flatten

BODY = serial(conv(4, 3, 2), jnp.tanh)
MODEL = serial(body=BODY, head=serial(flatten, dense(3)))
X = random.uniform(random.key(0), (5, 8, 8, 2))


@pytest.fixture(scope="module")
def network():
    return start_network(MODEL, random.key(1), X, input=jax.ShapeDtypeStruct((8, 8, 2), "float32"))


def test_feature_maps_are_the_output_of_the_network_cut_there(network):
    truth, _ = BODY.apply(network.params["body"], {}, X)
    found = feature_maps(network, X, "body", batch_size=2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, truth, atol=1e-6)
    np.testing.assert_allclose(feature_maps(network, X, "body/tanh1"), truth, atol=1e-6)


def test_features_without_positions_are_rows(network):
    np.testing.assert_allclose(feature_maps(network, X, "head"), network(X), atol=1e-5)
    assert feature_maps(network, X[:0], "body").shape == (0, 4, 4, 4)


def test_networks_that_predict_no_classes_have_feature_maps_too():
    network = start_network(serial(conv(4), conv(2)), random.key(0), X)
    assert feature_maps(network, X, "conv1").shape == (5, 8, 8, 4)


def test_filters_come_one_after_another(network):
    kernel = network.params["body"]["conv1"]["kernel"]
    found = filters(network, "body/conv1")
    assert found.shape == (4, 3, 3, 2)
    for i in range(4):
        np.testing.assert_array_equal(found[i], kernel[..., i])
    lone = start_network(conv(4), random.key(0), X)
    assert filters(lone, "").shape == (4, 3, 3, 2)


def test_unknown_paths_list_those_there_are(network):
    with pytest.raises(ValueError, match="no output is called 'conv9'; there are body/conv1, "):
        feature_maps(network, X, "conv9")
    with pytest.raises(ValueError, match=r"with a kernel; there are body/conv1, head/dense1$"):
        filters(network, "body")


def test_outputs_that_are_no_array_are_refused():
    def forward(f, x):
        return f.out(f.pair(x)[0])

    net = wire(forward, pair=lambda x: (x, x), out=serial(flatten, dense(2)))
    with pytest.raises(ValueError, match=r"features are one array \[n, \.\.\., c\], got float32"):
        feature_maps(start_network(net, random.key(0), X), X, "pair")
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        feature_maps(start_network(net, random.key(0), X), X, "out", batch_size=0)
