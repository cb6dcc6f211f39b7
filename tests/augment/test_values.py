import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.augment.values import (
    as_before,
    as_floats,
    as_levels,
    between,
    check_number,
    check_probability,
    check_whole,
    happens,
    raise_problems,
    span_of,
)

LEVELS = np.arange(256, dtype=np.uint8)


def test_uint8_survives_the_way_to_floats_and_back():
    np.testing.assert_array_equal(as_before(as_floats(LEVELS), jnp.asarray(LEVELS)), LEVELS)
    np.testing.assert_array_equal(as_levels(jnp.asarray(LEVELS)), LEVELS)
    np.testing.assert_array_equal(as_levels(as_floats(LEVELS)), LEVELS)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_floats_survive_and_are_cut_off_outside(dtype):
    x = jnp.asarray(LEVELS / 255, dtype)
    assert as_floats(x).dtype == jnp.float32
    again = as_before(as_floats(x), x)
    assert again.dtype == x.dtype
    np.testing.assert_array_equal(again, x)
    np.testing.assert_array_equal(as_before(jnp.array([-1.0, 2.0]), x), [0, 1])


def test_float64_keeps_its_digits():
    with jax.enable_x64(True):
        x = jnp.asarray([0.1, 1 / 3])
        np.testing.assert_array_equal(as_before(as_floats(x), x), [0.1, 1 / 3])


@pytest.mark.parametrize("dtype", ["int32", "bool", "int8"])
def test_other_dtypes_are_refused_by_name(dtype):
    with pytest.raises(TypeError, match=f"got {dtype}; convert it"):
        as_floats(np.zeros([2, 2, 1], dtype))


def test_ranges_are_around_their_middle_or_as_given():
    problems = []
    assert span_of("a", 0.25, problems, around=1.0, least=0.0) == (0.75, 1.25)
    assert span_of("a", 3, problems, around=1.0, least=0.0) == (0.0, 4.0)
    assert span_of("a", 10, problems, around=0.0) == (-10.0, 10.0)
    assert span_of("a", 10, problems) == (10.0, 10.0)
    assert span_of("a", [2, 3], problems) == (2.0, 3.0)
    assert span_of("a", np.float32(0.5), problems) == (0.5, 0.5)
    assert problems == []


def test_every_problem_is_said_at_once():
    problems = []
    span_of("a", "much", problems)
    span_of("b", (2, 1), problems)
    span_of("c", (0, 9), problems, least=1, most=5)
    span_of("d", -1, problems, around=0.0)
    span_of("e", (1, 2, 3), problems)
    span_of("f", (0, np.nan), problems)
    check_probability("g", 1.5, problems)
    check_number("h", True, problems)
    check_whole("i", 2.0, problems, least=1, most=8)
    assert len(problems) == 9
    with pytest.raises(ValueError, match=r"a must be a number or a pair .*'much'; b .* \(1.0, 2"):
        raise_problems(problems)
    raise_problems([])


def test_a_range_of_one_number_gives_exactly_it_and_others_stay_inside():
    keys = jax.random.split(jax.random.key(0), 500)
    assert np.unique(jax.vmap(lambda k: between(k, (0.3, 0.3)))(keys)) == np.float32(0.3)
    drawn = np.asarray(jax.vmap(lambda k: between(k, (-2.0, 1.0)))(keys))
    assert -2 <= drawn.min() < -1.9
    assert 0.9 < drawn.max() < 1


def test_probabilities_of_nothing_and_of_one_are_certain():
    keys = jax.random.split(jax.random.key(0), 1000)
    share = {p: jax.vmap(lambda k, p=p: happens(k, p))(keys).mean() for p in (0, 0.3, 1)}
    assert share[0] == 0
    assert share[1] == 1
    assert share[0.3] == pytest.approx(0.3, abs=0.05)
