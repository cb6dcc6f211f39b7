import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fcnn.ops.windows import check, floating, pad, pairs, per_side, place, positive, spatial

sides = st.integers(1, 5)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(1, 12), sides, sides, st.integers(1, 3), st.integers(0, 4), st.booleans())
def test_windows_are_counted_one_by_one(n, k, s, d, p, ceil):
    span = d * (k - 1) + 1
    assume(p < span)  # as pools, the only ones that round up, demand
    end = n + p
    count = sum(
        i + span <= end or (ceil and i < n and i - s + span < end) for i in range(-p, end, s)
    )
    if count == 0:
        with pytest.raises(ValueError, match="does not fit"):
            place((n,), k, s, p, dilation=d, ceil=ceil)
    else:
        at = place((n,), k, s, p, dilation=d, ceil=ceil)
        assert at.count == (count,)
        assert (count - 1) * s + span <= n + sum(at.pads[0])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(1, 12), sides, sides, st.integers(1, 3))
def test_same_padding_gives_a_window_for_each_stride_and_no_cell_too_many(n, k, s, d):
    at = place((n,), k, s, "same", dilation=d)
    (before, after), span = at.pads[0], d * (k - 1) + 1
    assert at.count == (-(-n // s),)
    assert 0 <= after - before <= 1
    needed = (at.count[0] - 1) * s + span
    assert n + before + after == max(needed, n)


def test_a_window_that_does_not_fit_is_named_with_its_input_and_a_remedy():
    with pytest.raises(ValueError, match="conv2: kernel 5x5 does not fit its input 2x2") as error:
        place((2, 2), 5, what="conv2", noun="kernel")
    assert "padding 'valid'; use padding='same', a smaller kernel, or less pooling" in str(
        error.value
    )
    with pytest.raises(ValueError, match="window 3x1 with dilation 4x1 does not fit"):
        place((8, 8), (3, 1), dilation=(4, 1))
    with pytest.raises(ValueError, match="does not fit its input 0x4"):
        place((0, 4), 1, padding="same")


def test_entries_are_counted():
    assert per_side(3, 2, "kernel", "conv") == (3, 3)
    assert per_side([3, 5], 2, "kernel", "conv") == (3, 5)
    with pytest.raises(ValueError, match=r"conv1: kernel \(3, 3, 3\) has 3 entries"):
        per_side((3, 3, 3), 2, "kernel", "conv1")
    assert pairs(1, 2, "conv") == ((1, 1), (1, 1))
    assert pairs((1, 2), 2, "conv") == ((1, 1), (2, 2))
    assert pairs(((1, 0), 2), 2, "conv") == ((1, 0), (2, 2))
    assert pairs("valid", 1, "conv") == ((0, 0),)


@pytest.mark.parametrize("padding", ["Same", -1, (1, -1), ((1, 2, 3),), 1.5, None, ((1, -2),)])
def test_paddings_that_suit_no_input_are_refused(padding):
    with pytest.raises(ValueError, match="padding must be"):
        check(padding=padding)


@pytest.mark.parametrize("side", [0, -1, 1.0, "3", (), (3, 0), (3, True), True, None])
def test_sides_are_positive_integers(side):
    with pytest.raises(ValueError, match="stride must be a positive integer"):
        check(stride=side)


@pytest.mark.parametrize("number", [0, 2.0, (2,), None, True, np.True_, np.float32(2), "2"])
def test_numbers_are_positive_integers(number):
    with pytest.raises(ValueError, match="features must be a positive integer, got"):
        positive(features=number)
    positive(features=np.int64(3))


def test_modes_of_padding_are_those_of_numpy():
    x = np.arange(5.0).reshape(1, 5, 1)
    for mode, numpy_mode in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")):
        expected = np.pad(x[0, :, 0], (2, 3), numpy_mode)
        np.testing.assert_array_equal(pad(x, [(2, 3)], mode)[0, :, 0], expected)
    np.testing.assert_array_equal(pad(x, [(1, 0)])[0, :, 0], [0, 0, 1, 2, 3, 4])
    with pytest.raises(ValueError, match="zeros, reflect, replicate, circular, got 'mirror'"):
        pad(x, [(1, 1)], "mirror")


def test_inputs_without_one_to_three_spatial_dimensions_are_refused():
    assert spatial(jnp.ones((2, 5, 6, 3)), "conv") == (5, 6)
    for shape in ((2, 3), (2, 3, 3, 3, 3, 3)):
        with pytest.raises(ValueError, match=r"stem/conv needs an input \[n, ..., c\]"):
            spatial(jnp.ones(shape), "stem/conv")


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_integers_are_refused_with_what_to_write(dtype):
    with pytest.raises(TypeError, match=rf"conv1 .* got {dtype}\[2,3\]; put rescale\(1 / 255\)"):
        floating(jnp.ones((2, 3), dtype), "conv1")
