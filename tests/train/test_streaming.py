"""Data that comes batch by batch: the same results, in time."""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fcnn
from fcnn import Layer, augment, dense, flatten, rescale, serial
from fcnn.data import Dataset, arrays, batches, split
from fcnn.data.streams import stream
from fcnn.train import looping, make_step, start
from fcnn.train.recomputing import seen

from ..data.make_pictures import make_tree
from .parts import assert_equal, bands, small


class Column:
    """An array to be read a batch at a time."""

    def __init__(self, x, wait=0.0):
        self.x, self.wait = x, wait
        self.shape, self.dtype = x.shape, x.dtype

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        time.sleep(self.wait)
        return self.x[rows]

    def take(self, rows, axis=0):
        return Column(self.x[rows], self.wait)


def later(data, wait=0.0):
    return Dataset(Column(data.x, wait), data.y, data.weight, data.classes)


def bytes_of(data):
    x = np.clip(64 * (data.x + 1), 0, 255).astype(np.uint8)
    return arrays(x, data.y, classes=data.classes)


def unit(data):
    """The same with pixels from 0 to 1."""
    return arrays(np.clip((data.x + 1) / 4, 0, 1), data.y, classes=data.classes)


class Loader:
    """Batches of examples in an order of its own, anew in each pass."""

    def __init__(self, data, size):
        self.data, self.size, self.epoch = data, size, -1

    def __iter__(self):
        self.epoch += 1
        rows = np.random.default_rng(self.epoch).permutation(len(self.data))
        for first in range(0, len(rows), self.size):
            yield self.data[rows[first : first + self.size]]


def fit(model, data, **options):
    usual = {"progress": False, "epochs": 2, "optimizer": optax.adam(1e-2), "batch_size": 8}
    return fcnn.fit(model, data, **usual | options)


def ended():
    """Whether no thread reads any more, in two seconds at most."""
    until = time.monotonic() + 2
    while any(thread.name.startswith("fcnn-data") for thread in threading.enumerate()):
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


@pytest.mark.parametrize("workers", [None, 1, 2, 4])
def test_no_result_depends_on_the_number_of_threads(workers):
    data = later(unit(bands(37)))
    options = {"validation": later(unit(bands(21, seed=1))), "augment": augment.noise(0.1)}
    a, one = fit(small(), data, workers=0, **options)
    b, two = fit(small(), data, workers=workers, **options)
    assert_equal(a.params, b.params)
    timing = {"seconds", "rate", "waited"}
    for name in one.rows[0].keys() - timing:
        assert one[name] == two[name]
    x = fcnn.predict(a, data, workers=0)
    np.testing.assert_array_equal(x, fcnn.predict(a, data, workers=workers))
    assert repr(fcnn.evaluate(a, data, workers=0)) == repr(fcnn.evaluate(a, data, workers=workers))
    assert ended()


def keeping(size):
    """A layer whose state is the last batch that it saw in training."""

    def apply(params, state, x, *, train=False, key=None):
        return x, {"x": x} if train else state

    return Layer(lambda key, x: ({}, {"x": jnp.zeros((size, *x.shape[1:]), x.dtype)}), apply)


def kept(state):
    return np.asarray(jax.tree.leaves(state)[0])


def shaken(key, image):
    return image + 0.1 * jax.random.normal(key, image.shape)


PIPELINES = {
    "a function": shaken,
    "several": augment.compose(augment.affine(rotate=10, zoom=0.1), augment.brightness(0.3)),
    "mixed": augment.compose(augment.flip(), augment.mixup(classes=3)),
}


READ_BY = [f"read by {n}" for n in (0, 1, 2, 4)]
KINDS = [(kind, "a function") for kind in ("arrays", *READ_BY)]
KINDS += [("arrays", "several"), ("bytes", "several"), ("read by 2", "several")]
KINDS += [("arrays", "mixed"), ("read by 2", "mixed")]


@pytest.mark.parametrize(("kind", "pipeline"), KINDS)
def test_the_batch_of_a_step_is_made_again_bit_for_bit(kind, pipeline):
    data, pipeline = unit(bands(37)), PIPELINES[pipeline]
    if kind == "bytes":
        data = bytes_of(bands(37))
    model = serial(keeping(8), rescale(1.0), flatten, dense(3))
    states = []
    fit(
        model,
        later(data) if "read" in kind else data,
        workers=int(kind[-1]) if "read" in kind else None,
        augment=pipeline,
        seed=11,
        epochs=3,
        callbacks=[lambda moment: states.append(kept(moment.copied().state))],
    )
    for epoch, x in enumerate(states):
        again = seen(data, 8, augment=pipeline, seed=11, epoch=epoch, step=4)
        np.testing.assert_array_equal(again["x"], x)
        assert again["x"].dtype == data.x.dtype
        assert not np.array_equal(x, data.x[again["index"]])


def test_pictures_do_not_depend_on_the_size_of_batches():
    data = bands(37)

    def pictures(size, epoch=2):
        found = {}
        for number in range(-(-37 // size)):
            batch = seen(data, size, augment=shaken, seed=3, epoch=epoch, step=number)
            found |= dict(zip(batch["index"].tolist(), batch["x"], strict=True))
        return np.stack([found[index] for index in range(37)])

    np.testing.assert_array_equal(pictures(5), pictures(16))
    assert (pictures(16) != pictures(16, epoch=1)).any((1, 2, 3)).all()


def test_every_step_of_an_epoch_is_made_again():
    data, optimizer = bands(37), optax.sgd(0.1)
    model = serial(keeping(8), flatten, dense(3))
    step = make_step(model, optimizer=optimizer, augment=shaken)
    ts = start(model, optimizer, jax.random.key(2), data.x)
    for epoch in range(2):
        for number, batch in enumerate(batches(data, 8, seed=2, epoch=epoch)):
            ts, _ = step(ts, batch)
            again = seen(data, 8, augment=shaken, seed=2, epoch=epoch, step=number)
            np.testing.assert_array_equal(again["x"], kept(ts.state))
            np.testing.assert_array_equal(again["index"], batch["index"])
            plain = seen(data, 8, seed=2, epoch=epoch, step=number)
            assert_equal(plain, batch)


def test_there_is_no_batch_after_the_last_and_none_of_a_stream():
    with pytest.raises(ValueError, match="no step 5: an epoch has 5, counted from 0"):
        seen(bands(37), 8, step=5)
    with pytest.raises(TypeError):
        seen(stream(Loader(bands(9), 4)), 4)


def test_mixed_labels_are_learned_from_and_counted():
    options = {"augment": augment.mixup(classes=3), "epochs": 15}
    network, history = fit(small(), bands(), **options)
    assert fcnn.evaluate(network, bands()).accuracy > 0.9
    assert 0 < history["accuracy"][-1] <= 1


def test_waiting_for_data_is_seen_and_shown(capsys):
    data = bands(32)
    _, history = fit(small(), data)
    assert history["waited"] == [0, 0]
    capsys.readouterr()
    for workers in (0, 2):
        _, history = fit(small(), later(data, wait=0.05), workers=workers, progress=True)
        assert 0.5 < history["waited"][-1] <= 1
        assert f"waited {100 * history['waited'][-1]:.0f} %" in capsys.readouterr().err


def test_what_is_read_while_the_device_computes_is_not_waited_for():
    def slow(x):
        def wait(x):
            time.sleep(0.03)
            return x

        return jax.pure_callback(wait, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    def apply(params, state, x, *, train=False, key=None):
        return jax.lax.stop_gradient(slow(x)), state

    model = serial(Layer(lambda key, x: ({}, {}), apply), flatten, dense(3))
    data = later(bands(64), wait=0.01)
    _, history = fit(model, data, workers=1, epochs=2)
    assert history["seconds"][-1] > 0.24
    assert history["waited"][-1] < 0.15


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_threads_end_with_a_run_that_fails(error):
    def fail(outputs, targets):
        raise error

    def interrupt(x):
        if error is KeyboardInterrupt:
            raise error
        return x

    data = later(bands(400), wait=0.001)
    with pytest.raises(error):
        fit(serial(interrupt, small()), data, workers=4, metrics={"fail": fail}, check=False)
    assert ended()


def test_a_bad_label_is_named_with_its_batch():
    data = bands(32)
    y = data.y.copy()
    y[20] = 7

    class Source:
        def __len__(self):
            return 32

        def __getitem__(self, rows):
            return data.x[rows], y[rows]

    with pytest.raises(ValueError, match="label 7 is out of range for 3 outputs") as caught:
        fit(small(), Source())
    assert "in batch" in caught.value.__notes__[0]


def test_bytes_stay_bytes_on_the_device():
    data = bytes_of(bands(400))
    before = jax.live_arrays()  # other tests' arrays; held here, so that their ids stay theirs
    known, found = {id(x) for x in before}, []

    def look(moment):
        new = (x for x in jax.live_arrays() if id(x) not in known)
        found.extend(x.dtype for x in new if x.size >= data.x.size)

    fit(serial(rescale(1 / 255), small()), data, callbacks=[look], epochs=1)
    assert found
    assert {str(dtype) for dtype in found} == {"uint8"}


def test_pictures_that_leave_no_room_are_read_along_the_way(monkeypatch):
    data = bands(37)
    a, one = fit(small(), data)
    monkeypatch.setattr(looping, "ROOM", 100)
    b, two = fit(small(), data)
    assert one["waited"] == [0, 0]
    assert all(share > 0 for share in two["waited"])
    near = {"rtol": 1e-5, "atol": 1e-6}
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, **near), a.params, b.params)


@pytest.mark.parametrize("workers", [None, 0])
def test_batches_from_elsewhere_are_learned_from_as_they_come(workers):
    data = bands(60)
    network, history = fit(
        small(),
        stream(Loader(data, 16), classes=data.classes),
        validation=stream(Loader(bands(30, seed=1), 16)),
        workers=workers,
        epochs=12,
        batch_size=99,
    )
    assert network.classes == ("top", "middle", "bottom")
    assert history["validation_accuracy"][-1] > 0.9
    report = fcnn.evaluate(network, Loader(data, 7))
    assert report.n == 60
    np.testing.assert_array_equal(report.confusion, fcnn.evaluate(network, data).confusion)


def test_a_stream_of_the_batches_of_a_dataset_trains_like_it():
    data, epoch = bands(37), [-1]

    def passes():
        epoch[0] += 1
        return batches(data, 8, seed=5, epoch=epoch[0])

    a, one = fit(small(), later(data), seed=5)
    b, two = fit(small(), stream(passes, classes=data.classes), seed=5)
    assert one["loss"] == two["loss"]
    assert_equal(a.params, b.params)


def test_the_run_says_how_batches_come(capsys):
    fit(small(), Loader(bands(30), 16), progress=True)
    err = capsys.readouterr().err
    assert "on batches of 16" in err
    assert "waited" in err


def test_a_generator_serves_for_one_epoch():
    data = bands(30)
    _, history = fit(small(), iter(Loader(data, 16)), epochs=1)
    assert np.isfinite(history["loss"][0])
    with pytest.raises(ValueError, match="train can be read only once, which does for epochs=1"):
        fit(small(), iter(Loader(data, 16)), epochs=2)


def test_no_part_of_a_stream_can_be_held_out():
    with pytest.raises(ValueError, match=r"validation=0.2 cannot be held out of batches"):
        fit(small(), Loader(bands(30), 16), validation=0.2)


@pytest.mark.parametrize("room", [None, 0])
def test_pictures_that_cannot_be_read_are_named_before_a_step_or_left_out(
    room, tmp_path, monkeypatch, capsys
):
    if room is not None:
        monkeypatch.setattr(looping, "ROOM", room)
    bad, _ = make_tree(tmp_path, count=60, bad=6, odd=6)
    traced = []

    def model(x):
        traced.append(x.shape)
        return x

    def trained(**options):
        data = fcnn.data.folder(tmp_path, size=16, **options)
        model_of = serial(rescale(1 / 255), model, flatten, dense(len(data.classes)))
        return data, fit(model_of, data, progress=True)

    with pytest.raises(ValueError, match=r"6 of 60 pictures .* cannot be read") as refused:
        trained()
    assert all(path.relative_to(tmp_path).as_posix() in str(refused.value) for path in bad)
    assert not traced

    data, (network, _) = trained(on_error="skip")
    assert "6 of 60 pictures" in (said := capsys.readouterr().err)
    assert "on 54 examples" in said
    assert fcnn.evaluate(network, data).n == 54
    with pytest.raises(ValueError, match="6 of 60 examples of x cannot be read"):
        fcnn.predict(network, data)


def test_a_lazy_column_is_split_without_being_read():
    data = later(bands(40))
    a, _ = fit(small(), data, validation=0.25)
    b, _ = fit(small(), split(data, 0.25, seed=0)[0])
    assert_equal(a.params, b.params)
