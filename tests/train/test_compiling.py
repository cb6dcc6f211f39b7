"""Compilation in blocks of memory that are reused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fcnn.train import compiling
from fcnn.train.compiling import compiled


def through(x, kernel):
    for _ in range(8):
        x = jnp.maximum(x @ kernel, 0) + x
    return x


def operands(n):
    return jnp.ones((n, 64)), jnp.full((64, 64), 0.01)


@pytest.fixture
def options(monkeypatch):
    """The compiler options of each program that is made."""
    seen, jit = [], jax.jit

    def watched(*args, **named):
        seen.append(named.get("compiler_options"))
        return jit(*args, **named)

    monkeypatch.setattr(jax, "jit", watched)
    return seen


def test_results_are_those_of_jit():
    expected = jax.jit(through)(*operands(9))
    np.testing.assert_allclose(compiled(through)(*operands(9)), expected, rtol=1e-6)


def test_small_arrays_get_small_blocks(options):
    run = compiled(through)
    run(*operands(9))
    assert options[-1] == dict([compiling.SOON, compiling.BLOCKS])
    made = len(options)
    run(*operands(9))  # decided once
    assert len(options) == made
    run(*operands(compiling.BLOCK // (2 * 64 * 4) + 1))  # for these shapes
    assert options[-1] == dict([compiling.SOON])


def test_arrays_of_half_a_block_do_not(options):
    compiled(through)(*operands(compiling.BLOCK // (2 * 64 * 4) + 1))
    assert options[-1] == dict([compiling.SOON])


def test_an_option_that_xla_does_not_know_is_left_out(options, monkeypatch):
    for name in ("SOON", "BLOCKS"):
        monkeypatch.setattr(compiling, name, ("xla_no_such_option", 1))
    expected = jax.jit(through)(*operands(9))
    np.testing.assert_allclose(compiled(through)(*operands(9)), expected, rtol=1e-6)
    assert options[-1] is None


def test_it_can_be_part_of_other_programs():
    run, (x, kernel) = compiled(through), operands(9)
    expected = through(through(x, kernel), kernel)
    twice = jax.jit(lambda x: lax.scan(lambda x, _: (run(x, kernel), None), x, length=2)[0])
    np.testing.assert_allclose(twice(x), expected, rtol=1e-6)
    assert jax.grad(lambda x: run(x, kernel).sum())(x).shape == x.shape
    assert jax.vmap(run, (0, None))(x[None], kernel).shape == (1, 9, 64)
    assert "dot" in run.lower(x, kernel).as_text()


def test_the_inside_of_loops_counts():
    x = jnp.ones(1000)

    def looped(x):
        return lax.fori_loop(0, 3, lambda _, x: jnp.outer(x, x).sum(0), x)

    assert compiling._largest(jax.make_jaxpr(looped)(x)) == 1000 * 1000 * 4


def test_donated_buffers_are_taken():
    x, kernel = operands(9)
    x = jnp.array(x)
    compiled(through, donate=(0,))(x, kernel)
    assert x.is_deleted()
