import shutil

import jax
import optax
import pytest

import fcnn
from fcnn import batch_norm, dense, dropout, flatten, serial
from fcnn.store import CheckpointError
from fcnn.store.checkpoints import checkpoint_steps, newest_checkpoint

from .parts import assert_equal, bands, small
from .test_looping import wrapped

MODEL = serial(flatten, dense(8), batch_norm(), dropout(0.3), dense(3))
STEPS = 3 * 5  # three epochs of 37 examples, eight at a time: the last batch is ragged


def noise(key, image):
    return image + 0.1 * jax.random.normal(key, image.shape)


def optimizer():
    rate = optax.cosine_decay_schedule(0.1, STEPS)
    inner = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(rate, momentum=0.9))
    return optax.MultiSteps(inner, every_k_schedule=2)


OPTIONS = {
    "epochs": 3,
    "batch_size": 8,
    "augment": noise,
    "seed": 3,
    "validation": bands(21, seed=1),
    "average": fcnn.train.ema(0.9),
    "progress": False,
}


def run(data, folder=None, **options):
    return fcnn.fit(MODEL, data, optimizer=optimizer(), checkpoint=folder, **OPTIONS | options)


def assert_same_run(one, two):
    for a, b in ((one[0], two[0]), (one[1].best, two[1].best)):
        assert_equal((a.params, a.state), (b.params, b.state))
    for row, other in zip(one[1].rows, two[1].rows, strict=True):
        assert row.keys() == other.keys()
        for name in row.keys() - {"seconds", "rate", "waited"}:
            assert row[name] == other[name], name
    assert one[1].best_epoch == two[1].best_epoch


def only(step, folder, place):
    """A folder that holds one checkpoint of another."""
    name = f"step_{step:08}"
    shutil.copytree(folder / name, place / name)
    return place


@pytest.fixture(scope="module", params=["in memory", "read along the way"])
def whole(request, tmp_path_factory):
    """A run with a checkpoint after every step, and its data."""
    data = bands(37) if request.param == "in memory" else wrapped(bands(37))
    folder = tmp_path_factory.mktemp("whole")
    return data, folder, run(data, folder, every=1, keep=100)


def test_checkpoints_change_nothing(whole):
    data, folder, result = whole
    assert checkpoint_steps(folder) == list(range(1, STEPS + 1))
    assert_same_run(run(data), result)


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_run_goes_on_from_any_step_bit_for_bit(whole, step, tmp_path):
    data, folder, result = whole
    place = only(step, folder, tmp_path)
    again = run(data, place, keep=2)
    assert_same_run(again, result)
    assert len(checkpoint_steps(place)) <= 2
    newest, _ = newest_checkpoint(place)
    assert newest.step == STEPS
    assert_equal(newest.values["average"]["params"], result[0].params)


def test_a_network_is_loaded_from_a_checkpoint(whole, tmp_path):
    _, folder, (network, _) = whole
    for path in (folder, folder / "step_00000015", only(STEPS, folder, tmp_path)):
        found = fcnn.load(path)
        assert_equal((found.params, found.state), (network.params, network.state))
        assert (found.classes, found.output) == (network.classes, network.output)
    with pytest.raises(FileNotFoundError, match="holds no checkpoints"):
        fcnn.load(tmp_path.parent)


def test_a_finished_run_comes_back_and_more_epochs_go_on(whole, tmp_path):
    data, folder, _ = whole
    place = only(STEPS, folder, tmp_path)
    assert_same_run(run(data, place, epochs=4), run(data, epochs=4))


def test_the_newest_intact_one_is_taken_and_that_is_said(whole, tmp_path):
    data, folder, result = whole
    place = only(7, folder, only(9, folder, tmp_path))
    file = place / "step_00000009" / "state.npz"
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    file.write_bytes(damaged)
    with pytest.warns(UserWarning, match="passed over a damaged checkpoint.*step_00000009"):
        again = run(data, place)
    assert_same_run(again, result)
    (place / "step_00000015" / "manifest.json").write_bytes(b"{}")
    for step in checkpoint_steps(place):
        (place / f"step_{step:08}" / "manifest.json").write_bytes(b"{}")
    with (
        pytest.warns(UserWarning, match="passed over"),
        pytest.raises(CheckpointError, match="none of its"),
    ):
        run(data, place)


def test_another_run_is_refused_with_all_that_differs(whole, tmp_path):
    data, folder, _ = whole
    place = only(5, folder, tmp_path)
    with pytest.raises(CheckpointError) as caught:
        run(data, place, seed=4, batch_size=16, monitor="loss")
    for words in ("step_00000005", "seed is 3 there, and 4 here", "batch_size is 8", "monitor"):
        assert words in str(caught.value)
    with pytest.raises(CheckpointError, match=r"params/dense1/kernel is float32\[64,8\] there"):
        fcnn.fit(small(), data, checkpoint=place, **OPTIONS)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"augment": None}, "other steps than it was begun with"),
        ({"loss": "focal"}, "other steps than it was begun with"),
        ({"class_weight": {"top": 9.0}}, "other class weights than it was begun with"),
        ({"validation": bands(21, seed=5)}, "other validation data than it was begun with"),
    ],
    ids=["augment", "loss", "class_weight", "validation"],
)
def test_a_change_of_what_is_computed_is_said(changed, words, whole, tmp_path):
    data, folder, _ = whole
    with pytest.warns(UserWarning, match=words):
        run(data, only(5, folder, tmp_path), **changed)


@pytest.mark.parametrize("step", [5, 7])
def test_other_columns_and_fewer_epochs_are_refused(whole, step, tmp_path):
    data, folder, _ = whole
    place = only(step, folder, tmp_path)
    with pytest.raises(CheckpointError, match=r"reported are .*accuracy.* there, and .* here"):
        run(data, place, metrics=["cross_entropy"])
    with pytest.raises(CheckpointError, match="3 epochs ended there; here are 2"):
        run(data, only(STEPS, folder, tmp_path / "whole"), epochs=2)


def test_a_network_that_is_not_used_is_said(tmp_path):
    options = {"epochs": 2, "batch_size": 8, "progress": False}
    networks = [fcnn.fit(small(), bands(12), seed=seed, **options)[0] for seed in (1, 2)]
    first, _ = fcnn.fit(networks[0], bands(12), checkpoint=tmp_path, **options)
    again, _ = fcnn.fit(networks[0], bands(12), checkpoint=tmp_path, **options)  # the same call
    assert_equal(again.params, first.params)
    with pytest.warns(UserWarning, match="of the network that was given are not used"):
        again, _ = fcnn.fit(networks[1], bands(12), checkpoint=tmp_path, **options)
    assert_equal(again.params, first.params)


def test_a_stream_says_that_its_steps_have_changed(tmp_path):
    data = bands(24)

    def batches():
        for start in range(0, 24, 8):
            yield data.x[start : start + 8], data.y[start : start + 8]

    options = {"checkpoint": tmp_path, "progress": False}
    fcnn.fit(small(), fcnn.data.stream(batches), optimizer=optax.sgd(0.1), epochs=1, **options)
    with pytest.warns(UserWarning, match="other steps"):
        fcnn.fit(small(), fcnn.data.stream(batches), optimizer=optax.sgd(0.2), epochs=2, **options)


def test_a_key_in_a_closure_is_a_constant_like_others(tmp_path):
    key = jax.random.key(5)

    def shifted(_, image):
        return image + jax.random.normal(key, image.shape)

    run(bands(37), tmp_path, augment=shifted, epochs=1)
    assert checkpoint_steps(tmp_path) == [5]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"checkpoint": True}, "checkpoint must be the name of a folder, got True"),
        ({"checkpoint": ""}, "checkpoint must be the name of a folder, got ''"),
        ({"every": 5}, "every=5 is of checkpoints: name their folder"),
        ({"keep": 0}, "keep must be a positive integer"),
        ({"non_finite": "ignore"}, "non_finite must be 'raise' or 'skip' or 'rollback'"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        fcnn.fit(small(), bands(12), **options)


def test_another_rate_and_other_data_are_said(whole, tmp_path):
    data, folder, _ = whole
    place = only(5, folder, tmp_path)
    other = optax.MultiSteps(
        optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.sgd(optax.cosine_decay_schedule(0.2, STEPS), momentum=0.9),
        ),
        2,
    )
    with pytest.warns(UserWarning, match="learning rate"):
        fcnn.fit(MODEL, data, optimizer=other, checkpoint=place, **OPTIONS)
    place = only(5, folder, tmp_path / "again")
    with pytest.warns(UserWarning, match="other training data"):
        run(bands(37, seed=9), place)
