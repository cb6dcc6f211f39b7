import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import Layer, child_key, serial
from fcnn.core.network import start_network
from fcnn.explain import check, feature_maps, saliency
from fcnn.explain.check.similarity import rank_correlation
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.normalization import batch_norm
from fcnn.layers.reshaping import flatten

BODY = serial(conv(4), batch_norm(), jnp.tanh, conv(4), jnp.tanh)
MODEL = serial(body=BODY, head=serial(flatten, dense(3)))
X = np.asarray(random.normal(random.key(0), (4, 8, 8, 2)))


@pytest.fixture(scope="module")
def network():
    return start_network(MODEL, random.key(1), X)


def edges(network, x, target):
    """What a picture is like, whatever the network."""
    return np.abs(np.gradient(x, axis=(1, 2))).sum((0, -1))


def test_maps_that_ignore_the_network_fail(network):
    found = check.randomisation(network, X, edges)
    np.testing.assert_allclose(found.rank, 1)
    np.testing.assert_allclose(found.ssim, 1)
    assert not found.passed
    assert "FAILED: the maps hardly depend on what was learnt" in str(found)


def test_maps_of_nothing_fail(network):
    found = check.randomisation(network, X, lambda network, x, target: np.zeros(x.shape[:-1]))
    assert not found.passed


def test_maps_that_follow_the_network_pass(network):
    found = check.randomisation(network, X, saliency)
    assert found.parts == ("head", "body")
    assert found.rank.shape == found.ssim.shape == (2, 4)
    assert np.abs(found.rank[-1]).max() < 0.5
    assert found.passed
    text = str(found).splitlines()
    assert text[0].split() == ["drawn", "anew", "rank", "correlation", "SSIM"]
    assert text[1].split()[0] == "head"
    assert text[2].split()[:2] == ["+", "body"]
    assert text[-1].startswith("passed: the maps follow what was learnt")
    assert "<table" in found._repr_html_()


def test_a_limit_decides(network):
    found = check.randomisation(network, X, saliency, limit=-1)
    assert not found.passed
    assert "not below -1" in found.verdict


def test_parts_are_drawn_anew_one_after_another_from_the_head_on(network):
    drawn = []

    def method(network, x, target):
        drawn.append(network)
        return saliency(network, x, target)

    found = check.randomisation(network, X, method, seed=5)
    key = child_key(random.key(5), "randomisation")  # not that of the initial values of a fit
    fresh, state = MODEL.init(key, jax.ShapeDtypeStruct((1, 8, 8, 2), "float32"))
    for part, expected in (
        ("params", [network.params, {**network.params, "head": fresh["head"]}, fresh]),
        ("state", [network.state, network.state, state]),
    ):
        for each, tree in zip(drawn, expected, strict=True):
            jax.tree.map(np.testing.assert_array_equal, getattr(each, part), tree)
    maps = [np.abs(saliency(each, X, network(X).argmax(-1))) for each in drawn]
    np.testing.assert_allclose(found.rank[0], rank_correlation(maps[0], maps[1]), atol=1e-6)


def test_the_layers_of_an_only_child_are_its_parts(network):
    model = serial(scaled=lambda x: x / 2, net=serial(model=MODEL))
    found = check.randomisation(start_network(model, random.key(0), X), X, saliency)
    assert found.parts == ("net/model/head", "net/model/body")


@pytest.mark.slow
def test_a_layer_without_children_is_one_part():
    def init(key, x):
        return {"kernel": random.normal(key, (math.prod(x.shape[1:]), 3))}, {}

    def apply(params, state, x, *, train=False, key=None):
        return x.reshape(len(x), -1) @ params["kernel"], state

    network = start_network(Layer(init, apply), random.key(0), X)
    found = check.randomisation(network, X, saliency)
    assert found.parts == ("network",)
    assert found.passed


def test_the_target_stays_the_class_that_was_predicted_before(network):
    seen = []

    def method(network, x, target):
        seen.append(target)
        return saliency(network, x, target)

    check.randomisation(network, X, method)
    predicted = np.asarray(network(X).argmax(-1))
    assert all((target == predicted).all() for target in seen)


def test_signed_maps_are_compared_by_their_magnitude(network):
    signs = np.random.default_rng(0).choice([-1, 1], X.shape[:-1])

    def method(changed, x, target):
        return edges(changed, x, target) * (1 if changed is network else signs)

    np.testing.assert_allclose(check.randomisation(network, X, method).rank, 1)


def test_the_method_itself_is_needed(network):
    with pytest.raises(TypeError, match="needs the method itself, not its maps"):
        check.randomisation(network, X, feature_maps(network, X, "body").sum(-1))
