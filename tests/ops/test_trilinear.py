"""Convolution as a primitive: derivatives of any order and mode, vmap, loops, export, devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from fcnn import ops

OPTIONS = [
    {"stride": 2, "groups": 2, "dilation": 2, "padding": 3},
    {"stride": (1, 2), "padding": "same"},
    {"groups": 6, "padding": "valid"},
]
KERNELS = [(3, 3, 3, 8), (3, 2, 6, 5), (3, 3, 1, 12)]
CASES = list(zip(OPTIONS, KERNELS, strict=True))


def draw(shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def score(options, op=ops.conv):
    return lambda x, kernel: jnp.sum(jnp.sin(op(x, kernel, **options)))


def same(f, *args, bound=1e-5):
    """``f`` gives with our programs what it gives with lax's."""
    fast = f(*args)
    with ops.lowering("native"):
        native = f(*args)
    for one, other in zip(jax.tree.leaves(fast), jax.tree.leaves(native), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        worst = float(jnp.abs(one - other).max())
        assert worst <= bound * float(jnp.abs(other).max())


@pytest.mark.parametrize(("options", "window"), CASES)
def test_gradients_and_tangents_of_both_orders(options, window):
    f, x, kernel = score(options), draw((2, 9, 8, 6)), draw(window, 1)
    same(jax.grad(f, (0, 1)), x, kernel, bound=1e-4)
    same(lambda x, kernel: jax.jvp(f, (x, kernel), (kernel.sum() * x, kernel)), x, kernel)
    tangent = jnp.cos(kernel)
    same(lambda k: jax.jvp(jax.grad(lambda k: f(x, k)), (k,), (tangent,)), kernel, bound=1e-4)
    same(jax.grad(lambda x: jnp.sum(jax.grad(f, 1)(x, kernel) ** 2)), x, bound=1e-4)


def test_second_order_of_the_transposed_convolution():
    f = score({"stride": 2, "padding": 1, "output_padding": 1}, ops.conv_transpose)
    x, kernel = draw((2, 5, 4, 6)), draw((3, 3, 4, 6), 1)
    same(jax.grad(f, (0, 1)), x, kernel, bound=1e-4)
    same(jax.grad(lambda k: jnp.sum(jax.grad(f, 0)(x, k) ** 2)), kernel, bound=1e-4)


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize(("options", "window"), CASES)
def test_vmap_of_each_operand(options, window, axes):
    x = draw((3, 2, 9, 8, 6) if axes[0] == 0 else (2, 9, 8, 6))
    kernel = draw((3, *window) if axes[1] == 0 else window, 1)
    same(jax.vmap(jax.grad(score(options), (0, 1)), axes), x, kernel, bound=1e-4)


def test_vmap_of_vmap():
    f, x, kernels = score(OPTIONS[1]), draw((3, 2, 9, 8, 6)), draw((4, 3, 3, 2, 6, 5), 1)
    each = jax.grad(f, (0, 1))
    same(jax.vmap(jax.vmap(each, (None, 0)), (0, None)), x, kernels[0], bound=1e-4)
    same(jax.vmap(jax.vmap(each, (0, 0)), (None, 0)), x, kernels, bound=1e-4)


def test_models_side_by_side_never_become_a_grouped_convolution():
    step = jax.jit(jax.vmap(jax.grad(score({}), (0, 1))))
    program = step.lower(draw((4, 2, 9, 8, 20)), draw((4, 3, 3, 20, 24), 1)).as_text()
    assert "stablehlo.while" in program
    assert "feature_group_count = 4" not in program


def test_one_kernel_for_many_stacks_of_examples_is_one_convolution():
    many = jax.vmap(lambda x, kernel: ops.conv(x, kernel), (0, None))
    (eqn,) = (
        eqn
        for eqn in jax.make_jaxpr(many)(draw((4, 2, 9, 8, 6)), draw((3, 3, 6, 5))).eqns
        if eqn.primitive.name == "convolution"
    )
    assert eqn.invars[0].aval.shape == (8, 9, 8, 6)


def test_training_in_a_loop_and_through_checkpoints():
    f, x, kernel = score(OPTIONS[1]), draw((2, 9, 8, 6)), draw(KERNELS[1], 1)

    def trained(kernel):
        down = lambda k, _: (k - 0.1 * jax.grad(f, 1)(x, k), None)  # noqa: E731
        return jax.lax.scan(down, kernel, None, length=3)[0]

    same(jax.jit(trained), kernel, bound=1e-4)
    same(jax.jit(jax.grad(jax.checkpoint(f), (0, 1))), x, kernel, bound=1e-4)


def test_export_for_other_platforms_and_any_batch():
    pytest.importorskip("flatbuffers")
    f, x, kernel = score(OPTIONS[1]), draw((2, 9, 8, 6)), draw(KERNELS[1], 1)
    made = export.export(jax.jit(jax.grad(f, 1)), platforms=["cpu", "cuda", "tpu"])(x, kernel)
    loaded = export.deserialize(made.serialize())
    np.testing.assert_allclose(loaded.call(x, kernel), jax.grad(f, 1)(x, kernel), atol=1e-4)

    (n,) = export.symbolic_shape("n")
    shapes = (
        jax.ShapeDtypeStruct((n, 9, 8, 6), x.dtype),
        jax.ShapeDtypeStruct(KERNELS[1], x.dtype),
    )
    loaded = export.deserialize(export.export(jax.jit(f))(*shapes).serialize())
    np.testing.assert_allclose(loaded.call(x, kernel), f(x, kernel), rtol=1e-4)


def test_other_platforms_get_the_convolutions_of_xla():
    f, x, kernel = score(OPTIONS[1]), draw((2, 9, 8, 6)), draw(KERNELS[1], 1)
    made = export.export(jax.jit(jax.value_and_grad(f, (0, 1))), platforms=["tpu"])(x, kernel)
    assert made.mlir_module().count("stablehlo.convolution") == 3


def test_an_empty_batch():
    y = ops.conv(jnp.zeros((0, 9, 8, 6)), draw(KERNELS[1]))
    assert y.shape == (0, 9, 8, 5)


def test_operands_of_different_dtypes_are_refused():
    with pytest.raises(TypeError, match="same dtypes"):
        ops.conv(draw((2, 9, 8, 6)), draw(KERNELS[1]).astype(jnp.bfloat16))


class TestLowering:
    def test_unknown_names_are_refused(self):
        with pytest.raises(ValueError, match="one of fast, native, got 'slow'"):  # noqa: SIM117
            with ops.lowering("slow"):
                pass

    def test_jitted_functions_are_traced_anew(self):
        traces = []

        @jax.jit
        def run(x, kernel):
            traces.append(1)
            return ops.conv(x, kernel)

        x, kernel = draw((2, 9, 8, 6)), draw(KERNELS[1])
        run(x, kernel)
        with ops.lowering("native"):
            run(x, kernel)
            assert "convolution" not in primitives(run, x, kernel)
        run(x, kernel)
        assert "convolution" in primitives(run, x, kernel)
        assert len(traces) == 2

    def test_pools_and_resizing_follow(self):
        def run(x):
            return ops.resize(ops.max_pool(ops.avg_pool(x, 2), 2), (9, 9), "bilinear")

        ours = {"max_pool", "window_sums", "resample"}
        assert ours <= primitives(run, draw((2, 8, 8, 3)))
        with ops.lowering("native"):
            assert not ours & primitives(lambda x: run(x), draw((2, 8, 8, 3)))

    def test_it_ends_with_the_context_even_after_an_error(self):
        with pytest.raises(ZeroDivisionError), ops.lowering("native"):
            1 / 0  # noqa: B018
        assert "convolution" in primitives(ops.conv, draw((2, 9, 8, 6)), draw(KERNELS[1]))


def primitives(f, *args):
    program = jax.make_jaxpr(f)(*args).jaxpr
    names = {eqn.primitive.name for eqn in program.eqns}
    for eqn in program.eqns:
        if "jaxpr" in eqn.params:
            names |= {inner.primitive.name for inner in eqn.params["jaxpr"].jaxpr.eqns}
    return names
