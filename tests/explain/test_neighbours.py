import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import serial
from fcnn.core.network import start_network
from fcnn.data import arrays, folder
from fcnn.explain import nearest_examples
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.pooling import global_avg_pool

RNG = np.random.default_rng(0)
DATA = RNG.uniform(size=(23, 6, 6, 3)).astype(np.float32)
X = RNG.uniform(size=(4, 6, 6, 3)).astype(np.float32)
Y = np.arange(23) % 3
MODEL = serial(conv(5), jnp.tanh, global_avg_pool, dense(3))


@pytest.fixture(scope="module")
def network():
    return start_network(MODEL, random.key(1), X)


def means(network, x):
    """The input of the last layer, by its parts."""
    return np.asarray(jnp.tanh(conv(5).apply(network.params["conv1"], {}, x)[0]).mean((1, 2)))


def by_hand(network, k):
    """All distances, sorted."""
    wanted, found = (means(network, x).astype(np.float64) for x in (X, DATA))
    distance = np.linalg.norm(wanted[:, None] - found[None], axis=-1)
    index = np.argsort(distance, 1)[:, :k]
    return index, np.take_along_axis(distance, index, 1)


@pytest.mark.parametrize("batch_size", [5, 64])
def test_neighbours_are_those_of_all_distances(network, batch_size):
    index, distance = by_hand(network, 7)
    found = nearest_examples(network, (DATA, Y), X, 7, batch_size=batch_size)
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_allclose(found.distance, distance, rtol=1e-4)


def test_planted_copies_are_found_first(network):
    data = DATA.copy()
    data[[19, 3, 11, 4]] = X
    found = nearest_examples(network, arrays(data, Y), X, 1)
    np.testing.assert_array_equal(found.index[:, 0], [19, 3, 11, 4])
    np.testing.assert_allclose(found.distance, 0, atol=1e-5)


def test_equal_examples_come_in_the_order_of_the_data(network):
    found = nearest_examples(network, (DATA[[5, 5, 5, 5]], Y[:4]), DATA[5:6], 4, batch_size=2)
    np.testing.assert_array_equal(found.index, [[0, 1, 2, 3]])


@pytest.mark.slow
def test_any_output_can_be_the_features(network):
    by_pool = nearest_examples(network, (DATA, Y), X, 3, path="global_avg_pool1")
    by_map = nearest_examples(network, (DATA, Y), X, 3, path="tanh1")
    by_default = nearest_examples(network, (DATA, Y), X, 3)
    np.testing.assert_array_equal(by_pool.index, by_default.index)
    np.testing.assert_array_equal(by_map.index, by_default.index)
    outputs = np.asarray(network(DATA), np.float64), np.asarray(network(X), np.float64)
    distance = np.linalg.norm(outputs[1][:, None] - outputs[0], axis=-1)
    logits = nearest_examples(network, (DATA, Y), X, 3, path="dense1")
    np.testing.assert_array_equal(logits.index, np.argsort(distance, 1)[:, :3])


def test_examples_are_read_from_files_a_batch_at_a_time(network, tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = RNG.integers(0, 256, (7, 6, 6, 3), np.uint8)
    for i, picture in enumerate(pixels):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        image.fromarray(picture).save(tmp_path / "ab"[i % 2] / f"{i}.png")
    data = folder(tmp_path)
    found = nearest_examples(network, data, pixels[[4, 1]], 1, batch_size=3)
    np.testing.assert_array_equal(data[found.index[:, 0]][0], pixels[[4, 1]])


def test_questions_without_an_answer_are_refused(network):
    for k, text in ((24, "data has 23 examples, not k=24"), (0, "k must be a positive integer")):
        with pytest.raises(ValueError, match=text):
            nearest_examples(network, (DATA, Y), X, k)
    with pytest.raises(ValueError, match="no output is called 'conv9'; there are conv1"):
        nearest_examples(network, (DATA, Y), X, path="conv9")
    with pytest.raises(TypeError, match="without targets; give a pair"):
        nearest_examples(network, DATA, X)
    bare = start_network(serial(jnp.tanh, global_avg_pool), random.key(0), X)
    with pytest.raises(ValueError, match="no layer has parameters; there are tanh1, "):
        nearest_examples(bare, (DATA, Y), X)
