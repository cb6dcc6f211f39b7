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


@pytest.mark.parametrize(
    ("name", "head", "before"),
    [
        ("a model", "head", "pool_all"),
        ("a model behind a layer", "net/dense1", "net/flatten1"),
        ("named parts", "head", "pool"),
        ("numbered parts", "dense1", "flatten1"),
    ],
)
def test_the_head_and_what_goes_into_it_have_paths(name, head, before):
    found = network(MODELS[name])
    assert (models.head_path(found), models.before_head(found)) == (head, before)


def test_dropout_before_the_head_is_not_among_the_features():
    found = network(models.vit_tiny(patch=4, rate=0.5))
    assert models.before_head(found) == "first"


def test_what_goes_into_a_head_may_have_no_name():
    layer = fcnn.wire(lambda f, x: f.head(x.mean((1, 2))), head=dense(3))
    with pytest.raises(ValueError, match="not made of registered parts"):
        models.head_path(network(layer))

    @fcnn.layer(name="tests:pooled")
    def pooled(classes):
        return fcnn.wire(lambda f, x: f.head(x.mean((1, 2))), head=dense(classes))

    with pytest.raises(ValueError, match="ends in tests:pooled"):
        models.head_path(network(pooled(3)))

    @fcnn.layer(name="tests:pooled_model")
    def pooled_model(*, classes):
        return pooled(classes)

    with pytest.raises(ValueError, match="what goes into head is no output of a named layer"):
        models.before_head(network(pooled_model(classes=3)))


def test_a_stem_for_gray_pictures_sees_them_as_it_saw_them_in_colour():
    old = network(MODELS["a model"])
    gray = jax.random.normal(KEY, (2, 8, 8, 1))
    new = models.replace_stem(old, 1)
    assert new.input.shape == (8, 8, 1)
    np.testing.assert_allclose(new(gray), old(jnp.repeat(gray, 3, -1)), rtol=1e-4, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, new.state, old.state)


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_other_channels_take_the_kernels_in_turn(channels):
    old = network(MODELS["a model"])
    new = models.replace_stem(old, channels)
    kernel, before = (np.asarray(each.params["conv1"]["kernel"]) for each in (new, old))
    assert kernel.shape == (3, 3, channels, 16)
    for c in range(channels):
        np.testing.assert_allclose(kernel[:, :, c], before[:, :, c % 3] * 3 / channels, rtol=1e-6)
    assert new(jnp.ones((1, 8, 8, channels))).shape == (1, 7)


def test_what_depends_on_channels_otherwise_is_refused():
    old = network(serial(fcnn.batch_norm(), conv(4), relu, flatten, dense(3)))
    with pytest.raises(ValueError, match=r"batch_norm1/\w+ is no kernel of 3 to some channels"):
        models.replace_stem(old, 1)
    with pytest.raises(ValueError, match="channels must be a positive integer, got 0"):
        models.replace_stem(old, 0)


def test_the_stem_of_timm_is_the_same():
    torch, timm = pytest.importorskip("torch"), pytest.importorskip("timm.models")
    old = network(MODELS["a model"])
    kernel = torch.tensor(np.asarray(old.params["conv1"]["kernel"])).permute(3, 2, 0, 1)
    for channels in (1, 4):
        theirs = timm.adapt_input_conv(channels, kernel).permute(2, 3, 1, 0).numpy()
        ours = models.replace_stem(old, channels).params["conv1"]["kernel"]
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
