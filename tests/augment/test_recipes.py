import jax
import numpy as np
import pytest

from fcnn import augment

PICTURE = np.random.default_rng(0).integers(0, 256, [16, 16, 3], dtype=np.uint8)
KEYS = jax.random.split(jax.random.key(0), 8)


@pytest.mark.parametrize("name", augment.names())
def test_every_recipe_works_by_its_name(name):
    new = np.asarray(jax.jit(jax.vmap(augment.recipe(name), (0, None)))(KEYS, PICTURE))
    assert new.dtype == np.uint8
    assert new.shape == (8, 16, 16, 3)
    assert (name == "none") == (new == PICTURE).all()
    assert f"``{name}``" in augment.recipe.__doc__


def test_digits_are_never_mirrored_by_shift():
    """A half-black image keeps its darker half."""
    x = np.zeros([16, 16, 1], np.uint8)
    x[:, 10:] = 255
    new = np.asarray(jax.vmap(augment.recipe("shift"), (0, None))(KEYS, x)).astype(float)
    assert (new[:, 4:12, 9:13].mean((1, 2, 3)) > new[:, 4:12, 3:7].mean((1, 2, 3))).all()


def test_an_unknown_name_lists_the_others():
    with pytest.raises(KeyError, match="no recipe 'flop'; there are none, flip, flip-crop"):
        augment.recipe("flop")
