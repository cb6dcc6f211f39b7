import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import batch_norm, conv, dense, flatten, global_avg_pool, models, relu, serial
from fcnn.train import features, linear_probe

from .parts import assert_equal, bands

MODEL = serial(conv(6), batch_norm(), relu, pool=global_avg_pool, head=dense(4))
PLAIN = serial(conv(3), relu, flatten, dense(4, bias=False))


def network(layer=MODEL):
    x = bands().x[:1]
    params, state = layer.init(jax.random.key(1), x)
    return fcnn.Network(layer, params, state, input=fcnn.spec(x[0]))


def test_features_are_the_outputs_at_a_path_with_the_same_targets():
    data = fcnn.data.arrays(*bands(21)[:], weight=np.arange(21), classes=bands().classes)
    old = network()
    _, outputs = fcnn.capture(old.layer.apply)(old.params, old.state, data.x)
    for path, expected in ((None, "pool"), ("relu1", "relu1")):
        found = features(old, data, path, batch_size=8)
        np.testing.assert_allclose(found.x, outputs[expected], rtol=1e-4, atol=1e-5)
        assert_equal((found.y, found.weight), (data.y, data.weight))
        assert found.classes == data.classes


def test_features_of_what_is_read_a_batch_at_a_time():
    class Source:
        def __len__(self):
            return 21

        def __getitem__(self, rows):
            return tuple(column[rows] for column in columns)

    for columns in (bands(21)[:], (*bands(21)[:], np.linspace(0, 1, 21, dtype=np.float32))):
        found = features(network(), Source(), batch_size=8)
        assert_equal(found[:], features(network(), columns, batch_size=8)[:])


def test_features_of_a_stream_are_refused():
    with pytest.raises(TypeError, match="not of batches that come one by one"):
        features(network(), fcnn.data.stream(lambda: iter([bands(8)[:]])))
    with pytest.raises(ValueError, match="no output is called 'poll'; there are conv1, "):
        features(network(), bands(), "poll")


@pytest.mark.parametrize(
    ("layer", "l2"),
    [
        (MODEL, 1e-3),
        pytest.param(MODEL, 0.1, marks=pytest.mark.slow),
        pytest.param(PLAIN, 1e-3, marks=pytest.mark.slow),
        pytest.param(PLAIN, 0.1, marks=pytest.mark.slow),
    ],
    ids=["with bias-0.001", "with bias-0.1", "without-0.001", "without-0.1"],
)
def test_a_probe_is_the_optimum_that_scikit_learn_finds(layer, l2):
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    data = fcnn.data.arrays(rng.normal(size=(90, 8, 8, 1)), rng.integers(3, size=90))
    weight = rng.integers(1, 4, size=90)
    old = network(layer)
    probe = linear_probe(old, (data.x, data.y, weight), l2=l2)
    x = features(old, data).x.astype(float)
    biased = layer is MODEL
    center = np.average(x, axis=0, weights=weight) * biased
    z = (x - center) / np.sqrt(np.average((x - center) ** 2, axis=0, weights=weight))
    options = {"C": 1 / (2 * l2 * weight.sum()), "fit_intercept": biased, "tol": 1e-8}
    theirs = linear.LogisticRegression(max_iter=5000, **options).fit(z, data.y, weight)
    np.testing.assert_allclose(fcnn.predict(probe, data), theirs.predict_proba(z), atol=2e-3)


def test_a_probe_keeps_all_but_the_head_and_learns_the_names():
    old, data = network(), bands()
    probe = linear_probe(old, data)
    assert probe.classes == data.classes
    assert fcnn.evaluate(probe, data).accuracy > 0.6 > fcnn.evaluate(old, (data.x, data.y)).accuracy
    for name in ("conv1", "batch_norm1"):
        assert_equal(probe.params[name], old.params[name])
    assert_equal(probe.state, old.state)
    assert probe.params["head"]["kernel"].shape == (6, 3)


def test_a_probe_of_an_earlier_layer_is_a_network_of_its_own(tmp_path):
    old, data = network(), bands()
    probe = linear_probe(old, data, "relu1")
    assert_equal(probe.params["body"], old.params)
    x = features(old, data, "relu1").x.mean((1, 2))
    head = jax.tree.map(np.asarray, probe.params["head"])
    np.testing.assert_allclose(probe(data.x), x @ head["kernel"] + head["bias"], atol=1e-4)
    fcnn.save(tmp_path / "probe.fcnn", probe)
    assert_equal(fcnn.load(tmp_path / "probe.fcnn")(data.x), probe(data.x))


def test_what_cannot_be_probed_is_refused():
    with pytest.raises(TypeError, match="classes are needed"):
        linear_probe(network(), (bands().x, bands().x.mean((1, 2, 3))))
    with pytest.raises(ValueError, match="l2 must be at least 0"):
        linear_probe(network(), bands(), l2=-1)


@pytest.mark.slow
def test_a_head_that_is_no_dense_layer_is_refused():
    squeezed = models.squeezenet1_1(classes=4)
    x = jnp.ones((1, 32, 32, 3))
    params, state = jax.tree.map(
        lambda x: jnp.zeros(x.shape), jax.eval_shape(squeezed.init, jax.random.key(0), x)
    )
    other = fcnn.Network(squeezed, params, state, input=fcnn.spec(x[0]))
    with pytest.raises(ValueError, match="no dense layer on its features; name the path"):
        linear_probe(other, (np.zeros((4, 32, 32, 3)), np.arange(4)))
