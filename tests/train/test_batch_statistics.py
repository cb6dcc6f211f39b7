import jax
import numpy as np
import pytest

import fcnn
from fcnn import Network, batch_norm, conv, dense, flatten, frozen, relu, repeat, serial
from fcnn.data import batches
from fcnn.train import recompute_statistics

from .parts import assert_equal, bands, line
from .test_looping import wrapped

KEY = jax.random.key(0)


def network_of(model, x):
    params, state = model.init(KEY, x)
    return Network(model, params, state, input=fcnn.spec(x[0]))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_statistics_are_the_means_over_batches_whatever_the_momentum(momentum):
    x, y = line(40)
    network = network_of(serial(batch_norm(momentum), dense(1)), x)
    found = recompute_statistics(network, (x, y), batch_size=8, seed=5).state["batch_norm1"]
    parts = [batch["x"].astype(float) for batch in batches((x, y), 8, seed=5)]
    assert len(parts) == 5
    np.testing.assert_allclose(found["mean"], np.mean([p.mean(0) for p in parts], 0), atol=1e-5)
    var = np.mean([p.var(0, ddof=1) for p in parts], 0)
    np.testing.assert_allclose(found["var"], var, rtol=1e-5)


@pytest.mark.slow
def test_they_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    data = bands(32)
    model = serial(conv(4, 3), batch_norm(), relu, flatten, dense(6), batch_norm(), dense(3))
    network = network_of(model, data.x)
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding="same"), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(256, 6), torch.nn.BatchNorm1d(6),
    )  # fmt: skip

    def of(name, array, axes=None):
        array = np.asarray(network.params[name][array])
        return torch.tensor(np.ascontiguousarray(array.transpose(axes)))

    with torch.no_grad():
        twin[0].weight.copy_(of("conv1", "kernel", (3, 2, 0, 1)))
        twin[0].bias.copy_(of("conv1", "bias"))
        kernel = np.asarray(network.params["dense1"]["kernel"]).reshape(8, 8, 4, 6)
        twin[4].weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1).reshape(6, 256).copy()))
        twin[4].bias.copy_(of("dense1", "bias"))
    parts = [torch.tensor(b["x"].transpose(0, 3, 1, 2)) for b in batches(data, 8, seed=0)]
    torch.optim.swa_utils.update_bn(parts, twin)
    found = recompute_statistics(network, data, batch_size=8).state
    for name, theirs in (("batch_norm1", twin[1]), ("batch_norm2", twin[5])):
        np.testing.assert_allclose(found[name]["mean"], theirs.running_mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[name]["var"], theirs.running_var, rtol=1e-4, atol=1e-5)


def test_what_runs_as_in_evaluation_keeps_its_statistics():
    data = bands(24)
    model = serial(stem=frozen(serial(flatten, batch_norm())), norm=batch_norm(), head=dense(3))
    network = network_of(model, data.x)
    found = recompute_statistics(network, data, batch_size=8)
    assert_equal(found.state["stem"], network.state["stem"])
    x = data.x.reshape(24, -1)
    np.testing.assert_allclose(found.state["norm"]["mean"], x.mean(0), atol=1e-4)


@pytest.mark.slow
def test_copies_have_statistics_of_their_own():
    data = bands(24)
    model = serial(flatten, dense(6), repeat(serial(dense(6), batch_norm()), 3), dense(3))
    network = network_of(model, data.x)
    found = recompute_statistics(network, data, batch_size=24).state
    (_, state) = model.apply(network.params, network.state, data.x, train=True, key=KEY)
    jax.tree.map(
        lambda new, old, mean: np.testing.assert_allclose(mean, (new - 0.9 * old) / 0.1, atol=1e-4),
        state, network.state, found,
    )  # fmt: skip


def test_all_kinds_of_data_and_networks_without_statistics_do():
    data = bands(24)
    network = network_of(serial(flatten, batch_norm(), dense(3)), data.x)
    parts = [(b["x"], b["y"]) for b in batches(data, 8, seed=0)]
    one = recompute_statistics(network, data, batch_size=8)
    for other in (wrapped(data), fcnn.data.stream(lambda: parts)):
        assert_equal(recompute_statistics(network, other, batch_size=8).state, one.state)
    plain = network_of(serial(flatten, dense(3)), data.x)
    assert recompute_statistics(plain, data).state == {}
