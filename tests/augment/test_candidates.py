import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import augment
from fcnn.augment.candidates import MOVING, OPERATIONS, Drawn, Strongest, apply, draw

MOST = Strongest(rotate=30, shear=0.3, shift=0.25, factor=0.9, bits=4)
KEY = jax.random.key(0)
PICTURE = (np.random.default_rng(0).integers(20, 230, [20, 16, 3]) / 255).astype(np.float32)


@jax.jit
def applied(operation, strength, values):
    return apply(Drawn(operation, strength), values, OPERATIONS, MOST, 0.5)


def changed(name, strength, values=PICTURE):
    return np.asarray(applied(OPERATIONS.index(name), jnp.float32(strength), values))


@pytest.mark.parametrize("strength", [-1.0, -0.5, 0.5, 1.0])
def test_every_tone_is_what_the_augmentation_of_its_name_does(strength):
    f = 1 + 0.9 * strength
    alone = {
        name: getattr(augment, name)((f, f))
        for name in ("brightness", "contrast", "saturation", "sharpness")
    }
    alone["autocontrast"], alone["equalize"] = augment.autocontrast(), augment.equalize()
    alone["posterize"] = augment.posterize(8 - int(4 * abs(strength)))
    alone["solarize"] = augment.solarize(1 - abs(strength))
    for name, step in alone.items():
        expected = jax.jit(step)(KEY, PICTURE)
        np.testing.assert_allclose(changed(name, strength), expected, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("strength", [-1.0, 0.5])
def test_every_move_is_that_of_scipy(strength):
    ndimage = pytest.importorskip("scipy.ndimage")
    h, w, _ = PICTURE.shape
    a = np.radians(30 * strength)
    moves = {  # from output to input, in (x, y)
        "rotate": ([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], (0, 0)),
        "shear_x": ([[1, 0.3 * strength], [0, 1]], (0, 0)),
        "shear_y": ([[1, 0], [0.3 * strength, 1]], (0, 0)),
        "shift_x": (np.eye(2), (0.25 * strength * w, 0)),
        "shift_y": (np.eye(2), (0, 0.25 * strength * h)),
    }
    assert set(moves) == set(MOVING)
    middle = np.array([(h - 1) / 2, (w - 1) / 2])
    for name, (matrix, shift) in moves.items():
        matrix, shift = np.array(matrix)[::-1, ::-1], np.array(shift)[::-1]  # in (row, column)
        expected = np.stack(
            [
                ndimage.affine_transform(
                    PICTURE[..., c], matrix, middle - matrix @ middle + shift,
                    order=1, mode="grid-constant", cval=0.5,
                )
                for c in range(3)
            ],
            axis=-1,
        )  # fmt: skip
        np.testing.assert_allclose(changed(name, strength), expected, atol=1e-4, err_msg=name)


def test_without_strength_nothing_changes_but_by_the_two_that_have_none():
    for name in OPERATIONS:
        if name not in ("autocontrast", "equalize"):
            np.testing.assert_array_equal(changed(name, 0.0), PICTURE, err_msg=name)
    np.testing.assert_array_equal(changed("identity", 1.0), PICTURE)


def test_gray_images_have_all_operations():
    x = PICTURE[..., :1]
    for name in OPERATIONS:
        new = changed(name, 0.7, x)
        assert new.shape == x.shape
        still = name in ("identity", "saturation")
        assert np.allclose(new, x, atol=1e-6) == still, name


def test_all_operations_are_drawn_equally_often_with_either_sign():
    keys = jax.random.split(KEY, 2000)
    chosen = ("rotate", "equalize", "identity")
    drawn = jax.jit(jax.vmap(lambda key: draw(key, chosen, (0.2, 0.6))))(keys)
    names, counts = np.unique([OPERATIONS[i] for i in drawn.operation], return_counts=True)
    assert set(names) == set(chosen)
    assert counts.min() > 580
    strength = np.asarray(drawn.strength)
    assert (strength > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert 0.2 <= np.abs(strength).min() < 0.21
    assert 0.59 < np.abs(strength).max() <= 0.6


def test_one_program_whatever_is_drawn():
    """The cost does not grow with the candidates: at most one warp, one histogram, no branches."""

    def program(operations):
        def one(key, values):
            return apply(draw(key, operations, (0.0, 1.0)), values, operations, MOST, 0.5)

        keys = jax.random.split(KEY, 4)
        return str(jax.make_jaxpr(jax.vmap(one))(keys, np.stack([PICTURE] * 4)))

    everything, moves = program(OPERATIONS), program(("rotate",))
    assert "cond[" not in everything
    assert everything.count("scatter-add") == 1
    # of the image: those of one warp, and one look into a table
    large = [line for line in everything.splitlines() if " gather[" in line and "20,16" in line]
    small = [line for line in moves.splitlines() if " gather[" in line and "20,16" in line]
    assert len(large) == len(small) + 1
