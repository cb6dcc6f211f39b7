import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import conv, dense, flatten, global_avg_pool, models, relu, rescale, serial, trees

KEY = jax.random.key(5)
MODELS = {
    "a model": models.resnet20(classes=7),
    "a model behind a layer": serial(rescale(0.5), net=models.small_cnn(classes=7, width=4)),
    "named parts": serial(conv=conv(4), relu=relu, pool=global_avg_pool, head=dense(7, bias=False)),
    "numbered parts": serial(conv(4), relu, flatten, dense(7)),
}


def network(layer, size=8):
    x = jnp.ones((1, size, size, 3))
    return fcnn.Network(layer, *layer.init(jax.random.key(0), x), input=fcnn.spec(x[0]))


@pytest.mark.parametrize("classes", [3, 7])
@pytest.mark.parametrize("name", MODELS)
def test_only_the_head_is_new(name, classes):
    old = network(MODELS[name])
    new = models.replace_head(old, classes, KEY)
    assert new(jnp.ones((2, 8, 8, 3))).shape == (2, classes)
    before, after = trees.flat(old.params), trees.flat(new.params)
    assert before.keys() == after.keys()
    changed = {
        path for path in before
        if before[path].shape != after[path].shape or (before[path] != after[path]).any()
    }  # fmt: skip
    (head,) = (p for p in before if p.endswith("kernel") and before[p].shape[-1] == 7)
    assert changed <= {head, head.replace("kernel", "bias")}
    assert head in changed
    jax.tree.map(np.testing.assert_array_equal, new.state, old.state)


def test_a_bias_is_new_with_its_kernel():
    old = network(serial(flatten, dense(7)))
    trained = old.replace(params=jax.tree.map(lambda leaf: leaf + 1, old.params))
    new = models.replace_head(trained, 7, KEY)
    assert (np.asarray(new.params["dense1"]["bias"]) == 0).all()


def test_what_has_no_head_is_refused_in_words():
    with pytest.raises(ValueError, match="ends in relu"):
        models.replace_head(network(serial(conv(4), relu)), 3, KEY)
    with pytest.raises(ValueError, match="not made of registered parts"):
        models.replace_head(network(serial(lambda x: x, flatten, dense(3))), 3, KEY)
    with pytest.raises(ValueError, match="does not know its inputs"):
        models.replace_head(network(MODELS["a model"]).replace(input=None), 3, KEY)


def test_features_are_the_output_at_a_path(tmp_path):
    old = network(MODELS["a model"])
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)
    found = models.features(old, "pool_all")
    _, outputs = fcnn.capture(old.layer.apply)(old.params, old.state, x)
    np.testing.assert_allclose(fcnn.predict(found, x), outputs["pool_all"], rtol=1e-5, atol=1e-6)
    fcnn.save(tmp_path / "features.fcnn", found)
    again = fcnn.load(tmp_path / "features.fcnn")
    np.testing.assert_array_equal(fcnn.predict(again, x), fcnn.predict(found, x))
    with pytest.raises(ValueError, match=r"no output is called 'pool'; there are conv1, .*head"):
        models.features(old, "pool")


def test_what_comes_after_the_features_is_not_computed():
    old = network(serial(small=dense(3), large=dense(2000), larger=dense(2000)), size=4)
    found = models.features(old, "small")
    run = jax.jit(found.layer.apply)
    cost = run.lower(found.params, found.state, jnp.ones((1, 4, 4, 3))).compile().cost_analysis()
    assert cost["flops"] < 10_000
