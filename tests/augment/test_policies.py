import jax
import numpy as np
import pytest

from fcnn import augment
from fcnn.augment.candidates import MOVING, OPERATIONS

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 64)
PICTURE = np.random.default_rng(0).integers(0, 256, [16, 12, 3], dtype=np.uint8)
TONES = tuple(name for name in OPERATIONS if name not in MOVING)
SOME = ("rotate", "equalize", "posterize", "solarize")
MIX = augment.aug_mix(chains=2, depth=2, operations=SOME)
POLICIES = [augment.rand_augment(), augment.trivial_augment(), MIX]


def many(step, x=PICTURE):
    return np.asarray(jax.jit(jax.vmap(step, (0, None)))(KEYS, x))


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_policies_keep_dtype_and_range_and_give_many_pictures(policy):
    new = many(policy)
    assert new.dtype == np.uint8
    assert new.shape == (64, *PICTURE.shape)
    assert len({image.tobytes() for image in new}) > 40
    np.testing.assert_array_equal(new, many(policy))
    floats = many(policy, (PICTURE[..., :1] / 255).astype(np.float32))
    assert floats.dtype == np.float32
    assert floats.min() >= 0
    assert floats.max() <= 1


def test_magnitude_zero_changes_nothing():
    step = augment.rand_augment(
        2, 0, operations=[n for n in OPERATIONS if n not in ("autocontrast", "equalize")]
    )
    np.testing.assert_array_equal(many(step), np.stack([PICTURE] * 64))


def test_magnitude_thirty_is_the_strongest():
    step = augment.rand_augment(1, 30, operations=("solarize",))
    np.testing.assert_array_equal(step(KEY, PICTURE), 255 - PICTURE)
    step = augment.rand_augment(1, 30, operations=("posterize",))
    np.testing.assert_array_equal(step(KEY, PICTURE), PICTURE & 0xF0)
    step = augment.rand_augment(1, 30, operations=("brightness",))
    seen = many(step, np.full([1, 1, 1], 0.5, np.float32))
    np.testing.assert_allclose(np.unique(seen), [0.05, 0.95], rtol=1e-5)


def test_layers_follow_one_another():
    once = augment.rand_augment(1, 30, operations=("solarize",))
    twice = augment.rand_augment(2, 30, operations=("solarize",))
    np.testing.assert_array_equal(once(KEY, PICTURE), 255 - PICTURE)
    np.testing.assert_array_equal(twice(KEY, PICTURE), PICTURE)


def test_trivial_augment_draws_every_strength():
    step = augment.trivial_augment(operations=("brightness",))
    factors = many(step, np.full([1, 1, 1], 0.4, np.float32)).ravel() / 0.4
    assert factors.min() < 0.2
    assert factors.max() > 1.8
    assert len(np.unique(factors)) == 64


def test_masks_and_boxes_follow_the_moves():
    x = np.zeros([20, 20, 3], np.uint8)
    x[6:12, 4:10] = 255
    mask = (x[..., 0] > 0).astype(np.int32)
    boxes = np.array([[4.0, 6, 10, 12]], np.float32)
    policy = augment.rand_augment(2, 10, operations=MOVING, fill=0.0)

    @jax.jit
    @jax.vmap
    def all_three(key):
        return policy(key, x), policy.mask(key, mask), policy.boxes(key, boxes, (20, 20))

    images, masks, moved = map(np.asarray, all_three(KEYS[:24]))
    for image, mask, (box,) in zip(images, masks, moved, strict=True):
        assert set(np.unique(mask)) <= {0, 1}
        inside = np.zeros([20, 20], bool)
        left, top, right, bottom = box
        inside[int(np.floor(top)) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
        assert not (mask.astype(bool) & ~inside).any()
        assert ((image[..., 0] > 127) == mask).mean() > 0.93
    assert augment.rand_augment(operations=TONES).mask is None


def test_aug_mix_stays_near_the_image_and_has_no_masks():
    far = np.abs(many(MIX).astype(int) - PICTURE).mean()
    strong = np.abs(many(augment.rand_augment(2, 30, operations=SOME)).astype(int) - PICTURE).mean()
    assert 0 < far < strong
    with pytest.raises(TypeError, match="aug_mix lays differently moved images"):
        augment.aug_mix().mask(KEY, PICTURE[..., 0])


def test_wrong_options_are_said_together_when_it_is_made():
    with pytest.raises(
        ValueError, match=r"layers must be .*; magnitude must be .* 0 to 30, got 31"
    ):
        augment.rand_augment(0, 31)
    with pytest.raises(ValueError, match=r"no operations \['turn'\]; there are identity, rotate"):
        augment.trivial_augment(operations=("turn", "rotate"))
    with pytest.raises(ValueError, match="operations must be some names"):
        augment.rand_augment(operations="rotate")
    with pytest.raises(ValueError, match="fill"):
        augment.trivial_augment(fill="red")
    with pytest.raises(ValueError, match=r"chains .*; depth .*; severity .*; alpha"):
        augment.aug_mix(0, chains=0, depth=0, alpha=0)


def test_aug_mix_refuses_masks_and_boxes_when_they_are_made():
    for carry in (augment.with_masks, augment.with_boxes):
        with pytest.raises(TypeError, match="lays differently moved images over one another"):
            carry(augment.compose(augment.flip(), augment.aug_mix()))
