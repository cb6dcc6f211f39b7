import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn import ops
from fcnn.core import build, out_spec, serial
from fcnn.layers.convolution import conv, conv_transpose, depthwise_conv, separable_conv
from fcnn.layers.linear import dense
from fcnn.layers.pooling import max_pool
from fcnn.layers.reshaping import flatten

KEY = random.key(0)
ALL = {
    "conv": conv(6, 3, 2, padding=1, dilation=2, groups=2),
    "reflected": conv(6, (3, 2), padding_mode="reflect"),
    "pointwise": conv(6, 1),
    "transposed": conv_transpose(6, 3, 2, padding=1, output_padding=1, groups=2),
    "depthwise": depthwise_conv(3, 2, multiplier=2),
    "separable": separable_conv(6, 3, 2, padding="valid"),
}


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_layers_pass_their_options_to_the_operation_and_add_a_bias():
    x = draw(0, 2, 7, 6, 4)
    options = {"stride": (2, 1), "padding": ((1, 0), 2), "dilation": (1, 2), "groups": 2}
    for layer, op in (
        (conv(6, (3, 2), padding_mode="circular", bias_init=("normal", 1.0), **options), ops.conv),
        (conv_transpose(6, (3, 2), bias_init=("normal", 1.0), **options), ops.conv_transpose),
    ):
        params, state = layer.init(KEY, x)
        y, state = layer.apply(params, state, x)
        how = {**options, **({"padding_mode": "circular"} if op is ops.conv else {})}
        expected = op(x, params["kernel"], **how) + params["bias"]
        np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
        assert state == {}


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (conv(6, 3), {"kernel": (3, 3, 4, 6), "bias": (6,)}),
        (conv(6, 3, groups=2, bias=False), {"kernel": (3, 3, 2, 6)}),
        (conv_transpose(6, (3, 2), groups=2), {"kernel": (3, 2, 3, 4), "bias": (6,)}),
        (depthwise_conv(3, multiplier=2), {"kernel": (3, 3, 1, 8), "bias": (8,)}),
        (
            separable_conv(6, 5, multiplier=2),
            {
                "depthwise": {"kernel": (5, 5, 1, 8)},
                "pointwise": {"kernel": (1, 1, 8, 6), "bias": (6,)},
            },
        ),
    ],
)
def test_parameters_have_their_names_and_shapes_and_are_float32(layer, shapes):
    x = jax.ShapeDtypeStruct((2, 8, 8, 4), "bfloat16")
    params, state = jax.eval_shape(lambda key: layer.init(key, x), KEY)
    assert jax.tree.map(lambda leaf: leaf.shape, params) == shapes
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float32"}
    assert state == {}


def test_the_rank_comes_from_the_input_or_from_a_tuple():
    for size in ((8,), (8, 7), (4, 5, 6)):
        x = jax.ShapeDtypeStruct((2, *size, 3), "float32")
        assert out_spec(conv(4, 3), x).shape == (2, *size, 4)
        assert out_spec(conv_transpose(4, 3, 2), x).shape == (2, *(2 * n for n in size), 4)
        assert out_spec(depthwise_conv(3, 2), x).shape == (2, *(-(-n // 2) for n in size), 3)
        assert out_spec(separable_conv(4), x).shape == (2, *size, 4)
    with pytest.raises(ValueError, match=r"kernel \(3, 3\) has 2 entries and the input 3 spatial"):
        conv(4, (3, 3)).init(KEY, x)


def test_depthwise_features_of_a_channel_stand_side_by_side():
    x = draw(0, 2, 5, 5, 3)
    layer = depthwise_conv(3, multiplier=2, bias=False)
    params, state = layer.init(KEY, x)
    y, _ = layer.apply(params, state, x)
    for c in range(3):
        alone = ops.conv(x[..., c : c + 1], params["kernel"][..., 2 * c : 2 * c + 2])
        np.testing.assert_allclose(y[..., 2 * c : 2 * c + 2], alone, rtol=1e-5, atol=1e-5)


def test_a_separable_convolution_is_depthwise_then_pointwise():
    x = draw(0, 2, 6, 5, 3)
    layer = separable_conv(4, 3, 2, multiplier=2, bias_init=("normal", 1.0))
    params, state = layer.init(KEY, x)
    space = ops.conv(x, params["depthwise"]["kernel"], stride=2, groups=3)
    point = params["pointwise"]
    expected = space @ point["kernel"][0, 0] + point["bias"]
    np.testing.assert_allclose(layer.apply(params, state, x)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_layers_compute_in_the_dtype_of_their_input_under_strict_promotion(name):
    layer = ALL[name]
    for dtype in ("bfloat16", "float32"):
        x = jnp.ones((2, 8, 8, 4), dtype)
        with jax.numpy_dtype_promotion("strict"):
            assert out_spec(layer, x).dtype == dtype
    with jax.enable_x64(True):
        assert out_spec(layer, np.ones((2, 8, 8, 4))).dtype == "float64"


@pytest.mark.parametrize("name", ALL)
def test_layers_can_be_mapped_over_parameters_scanned_and_rebuilt(name):
    layer = build(ALL[name].recipe.to_json())
    assert repr(layer) == repr(ALL[name])
    x = draw(0, 2, 2, 6, 6, 4)

    @jax.jit
    def run(keys, xs):
        params, _ = jax.vmap(lambda key: layer.init(key, xs[0]))(keys)
        mapped = jax.vmap(lambda p, x: layer.apply(p, {}, x)[0])(params, xs)
        step = lambda _, at: (None, layer.apply(at[0], {}, at[1])[0])  # noqa: E731
        _, scanned = jax.lax.scan(step, None, (params, xs))
        one = jax.tree.map(lambda leaf: leaf[1], params)
        return mapped, scanned, layer.apply(one, {}, xs[1])[0]

    mapped, scanned, one = run(random.split(KEY, 2), x)
    np.testing.assert_allclose(mapped, scanned, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mapped[1], one, rtol=1e-5, atol=1e-5)


def test_numpy_arrays_of_any_floating_dtype_are_taken():
    x = np.ones((1, 4, 4, 2))  # float64, which jax holds as float32
    params, state = conv(3).init(KEY, x)
    assert conv(3).apply(params, state, x)[0].dtype == "float32"


def test_a_network_whose_kernel_does_not_fit_is_refused_by_the_name_of_the_layer():
    model = serial(
        *(conv(10, 5, padding="valid"), max_pool(2), conv(20, 5, padding="valid"), max_pool(2)),
        *(flatten, dense(50), dense(10)),
    )
    small, large = (jax.ShapeDtypeStruct((2, n, n, 1), "float32") for n in (8, 28))
    with pytest.raises(ValueError, match=r"^conv2: kernel 5x5 does not fit its input 2x2") as error:
        model.init(KEY, small)
    assert "in layer conv2 (conv, input float32[2,2,2,10])" in error.value.__notes__
    params, state = jax.eval_shape(lambda key: model.init(key, large), KEY)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 21_840
    with pytest.raises(ValueError, match="conv2: kernel 5x5 does not fit its input 2x2"):
        jax.eval_shape(model.apply, params, state, small)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (conv(4, 9, padding="valid"), "kernel 9x9 does not fit its input 4x4"),
        (conv_transpose(4, 1, padding=3), "kernel 1x1 does not fit its input 4x4"),
        (depthwise_conv(9, padding=1), "kernel 9x9 does not fit its input 4x4"),
        (conv(6, groups=3), "4 channels do not divide into 3 groups"),
        (conv_transpose(6, groups=3), "4 channels do not divide into 3 groups"),
    ],
)
def test_init_alone_refuses_what_apply_would(layer, text):
    with pytest.raises(ValueError, match=f"^stem: {text}"):
        serial(stem=layer).init(KEY, jnp.ones((2, 4, 4, 4)))
    with pytest.raises(ValueError, match=text):
        layer.init(KEY, jnp.ones((2, 4, 4, 4)))


def test_inputs_of_another_kind_are_refused():
    for layer in ALL.values():
        with pytest.raises(
            TypeError, match=r"got uint8\[2,8,8,4\]; put rescale\(1 / 255\) or cast"
        ):
            layer.init(KEY, jnp.ones((2, 8, 8, 4), "uint8"))
        with pytest.raises(ValueError, match="with one to three spatial dimensions"):
            layer.init(KEY, jnp.ones((2, 8)))
    params, state = conv(4).init(KEY, jnp.ones((2, 8, 8, 3)))
    with pytest.raises(ValueError, match="the kernel is made for 3 channels and x has 1"):
        conv(4).apply(params, state, jnp.ones((2, 8, 8, 1)))


def test_options_that_suit_no_input_are_refused_when_the_layer_is_made():
    for make in (conv, conv_transpose, separable_conv):
        with pytest.raises(ValueError, match="features must be a positive integer, got -1"):
            make(-1)
        with pytest.raises(ValueError, match="stride must be a positive integer"):
            make(4, 3, 0)
        with pytest.raises(ValueError, match="padding must be"):
            make(4, padding="full")
    with pytest.raises(ValueError, match="4 features do not divide into 3 groups"):
        conv(4, groups=3)
    with pytest.raises(ValueError, match="multiplier must be a positive integer"):
        depthwise_conv(multiplier=0)
    with pytest.raises(ValueError, match="leaves nothing to output_padding"):
        conv_transpose(4, 3, 2, output_padding=1)
    with pytest.raises(ValueError, match="padding_mode must be one of zeros"):
        conv(4, padding_mode="mirror")
    with pytest.raises(TypeError, match="unexpected keyword"):
        conv(4, strides=2)
