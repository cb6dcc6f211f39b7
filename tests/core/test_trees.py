import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fcnn.core import trees

TREE = {
    "stem": {"conv": {"kernel": jnp.ones((2, 2)), "bias": jnp.zeros(2)}},
    "head": {"kernel": jnp.ones(3)},
}


def test_flat_names_every_leaf_by_its_path():
    assert list(trees.flat(TREE)) == ["head/kernel", "stem/conv/bias", "stem/conv/kernel"]


def test_nested_undoes_flat():
    again = trees.nested(trees.flat(TREE))
    assert jax.tree.structure(again) == jax.tree.structure(TREE)


@pytest.mark.parametrize(
    "leaves", [{"a": 1, "a/b": 2}, {"a/b": 2, "a": 1}, {"a//b": 1}, {"/a": 1}, {"": 1}]
)
def test_nested_refuses_paths_that_make_no_tree(leaves):
    with pytest.raises(ValueError, match=r"path|leaf"):
        trees.nested(leaves)


def test_a_pattern_matches_whole_paths():
    mask = trees.matching(".*/kernel")(TREE)
    assert trees.flat(mask) == {
        "head/kernel": True,
        "stem/conv/bias": False,
        "stem/conv/kernel": True,
    }
    assert not any(trees.flat(trees.matching("kernel")(TREE)).values())


def test_a_mask_serves_optax():
    decay = optax.masked(optax.add_decayed_weights(0.1), trees.matching(".*/kernel"))
    updates, _ = decay.update(jax.tree.map(jnp.zeros_like, TREE), decay.init(TREE), TREE)
    np.testing.assert_allclose(updates["head"]["kernel"], 0.1)
    np.testing.assert_array_equal(updates["stem"]["conv"]["bias"], 0)


def test_labels_take_the_first_rule_that_matches():
    label = trees.labels({"head/.*": "fast", ".*": "slow"})
    assert trees.flat(label(TREE)) == {
        "head/kernel": "fast",
        "stem/conv/bias": "slow",
        "stem/conv/kernel": "slow",
    }
    with pytest.raises(ValueError, match="no rule matches 'stem/conv/bias'"):
        trees.labels({"head/.*": "fast"})(TREE)


@pytest.mark.parametrize(
    "use", [trees.matching, lambda pattern: trees.labels({".*": "a", pattern: "b"})]
)
def test_what_is_no_pattern_is_named(use):
    with pytest.raises(ValueError, match=r"'head/\(\.\*' is no regular expression: missing \)"):
        use("head/(.*")


def test_count_counts_scalars():
    assert trees.count(TREE) == 9
