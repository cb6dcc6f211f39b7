"""What a step takes, against what it took."""

import jax
import numpy as np
import optax
import pytest
from jax import random

import fcnn
from fcnn import conv, dense, flatten, relu, serial
from fcnn.train import cost, largest_batch, make_step, start

MODEL = serial(conv(16, 3), relu, conv(16, 3), relu, flatten, dense(10))
PARAMS = 16 * 10 + 16 * (9 * 16 + 1) + 10 * (1024 + 1)


@pytest.fixture(scope="module")
def data():
    return fcnn.data.digits()[0]


def test_parameters_and_optimizer_are_counted_in_bytes(data):
    plain = cost(MODEL, data, optimizer=optax.sgd(0.1))
    adam = cost(MODEL, data, optimizer=optax.adam(0.1))
    assert plain.params == adam.params == 4 * PARAMS
    assert adam.kept - plain.kept == 2 * 4 * PARAMS + 4  # two moments and a count


def test_operations_are_those_of_the_summary_times_the_batch(data):
    found = cost(MODEL, data, batch_size=48)
    assert found.forward == 48 * fcnn.summary(MODEL, data.x).flops
    assert found.outputs == 48 * fcnn.summary(MODEL, data.x).memory
    assert 0.5 < found.compiled_forward / found.forward < 2
    assert 0.5 < found.compiled_step / (3 * found.forward) < 2


def test_the_memory_of_a_step_grows_with_its_batch(data):
    small, large = (cost(MODEL, data, batch_size=n) for n in (64, 512))
    assert 4 < large.working / small.working < 12
    assert small.kept == large.kept


def test_the_plan_is_that_of_the_step_that_runs(data):
    optimizer = optax.adam(1e-3)
    ts = start(MODEL, optimizer, random.key(0), data.x)
    batch = next(fcnn.data.batches(data, 64, seed=0))
    plan = make_step(MODEL, optimizer=optimizer).lower(ts, batch).compile().memory_analysis()
    found = cost(MODEL, data, batch_size=64)
    assert found.working == pytest.approx(plan.temp_size_in_bytes, rel=0.1)


def test_the_largest_batch_fits_and_twice_as_much_does_not(data):
    room = cost(MODEL, data, batch_size=100).memory
    fits = largest_batch(MODEL, data, memory=room)
    assert fits == 64
    assert cost(MODEL, data, batch_size=fits).memory <= room
    assert cost(MODEL, data, batch_size=2 * fits).memory > room


def test_what_takes_more_when_small_still_finds_the_largest_batch(data):
    model = serial(conv(16), fcnn.batch_norm(), relu, conv(32), fcnn.global_avg_pool, dense(10))
    room = cost(model, data, batch_size=64).memory
    assert largest_batch(model, data, memory=room) == 64


def test_with_room_for_all_the_largest_batch_is_the_data(data):
    assert largest_batch(MODEL, data) == len(data)


def test_where_not_even_one_fits_it_says_so(data):
    with pytest.raises(ValueError, match=r"not even one example fits into 10\.0 kB: a step"):
        largest_batch(MODEL, data, memory=10_000)


def test_a_network_costs_what_its_layer_does(data):
    params, state = MODEL.init(random.key(0), data.x[:1])
    network = fcnn.Network(MODEL, params, state, input=jax.ShapeDtypeStruct((8, 8, 1), np.float32))
    assert cost(network, data) == cost(MODEL, data)


def test_the_table_prints_both_views(data):
    lines = str(cost(MODEL, data)).splitlines()
    assert lines[0].split("  ")[0] == "a step with 32 examples"
    assert lines[3].split() == ["parameters", f"{4 * PARAMS / 1000:.1f}", "kB"]
    assert "<table" in cost(MODEL, data)._repr_html_()
