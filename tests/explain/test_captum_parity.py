"""Maps against those of captum, on networks of PyTorch with the same weights."""

import warnings

import numpy as np
import pytest
from jax import random

from fcnn import explain
from fcnn.core import serial, trees, wire
from fcnn.core.network import start_network
from fcnn.layers import (
    avg_pool,
    batch_norm,
    conv,
    dense,
    elu,
    flatten,
    global_avg_pool,
    leaky_relu,
    max_pool,
    relu,
    sigmoid,
    softplus,
    tanh,
)

from ..models.dialect_parts import randomized

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    attr = pytest.importorskip("captum.attr")
nn = torch.nn

pytestmark = pytest.mark.filterwarnings("ignore")  # captum says what it does to a module
X = np.asarray(random.normal(random.key(0), (3, 8, 8, 2)))
TARGET = [2, 0, 1]


def assert_near(maps, truth):
    """Within 1e-4 of the largest value."""
    np.testing.assert_allclose(maps, truth, rtol=0, atol=1e-4 * np.abs(truth).max())


class Plain(nn.Module):
    """Many kinds of activations, two kinds of pooling.

    The maximum stands between convolutions: beside a relu, captum's DeepLIFT does not add up.
    """

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(2, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU()
        self.conv2, self.pool1 = nn.Conv2d(6, 8, 3, 1, 1), nn.MaxPool2d(2)
        self.conv3, self.elu1, self.pool2 = nn.Conv2d(8, 8, 3, 1, 1), nn.ELU(), nn.AvgPool2d(2)
        self.conv4, self.leaky1 = nn.Conv2d(8, 5, 3, 1, 1), nn.LeakyReLU()
        self.dense1, self.relu2 = nn.Linear(20, 9), nn.ReLU()
        self.dense2, self.softplus1 = nn.Linear(9, 8), nn.Softplus()
        self.dense3, self.tanh1 = nn.Linear(8, 8), nn.Tanh()
        self.dense4, self.sigmoid1 = nn.Linear(8, 8), nn.Sigmoid()
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.pool1(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        x = self.leaky1(self.conv4(self.pool2(self.elu1(self.conv3(x)))))
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = self.tanh1(self.dense3(self.softplus1(self.dense2(self.relu2(self.dense1(x))))))
        return self.head(self.sigmoid1(self.dense4(x)))


PLAIN = serial(
    conv1=conv(6),
    bn1=batch_norm(),
    relu1=relu,
    conv2=conv(8),
    pool1=max_pool(2),
    conv3=conv(8),
    elu1=elu,
    pool2=avg_pool(2),
    conv4=conv(5),
    leaky1=leaky_relu,
    flatten=flatten,
    dense1=dense(9),
    relu2=relu,
    dense2=dense(8),
    softplus1=softplus,
    dense3=dense(8),
    tanh1=tanh,
    dense4=dense(8),
    sigmoid1=sigmoid,
    head=dense(3),
)


class Residual(nn.Module):
    """A residual block, with a second relu after the sum."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(2, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = nn.Conv2d(6, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU()
        self.conv3, self.bn3, self.relu3 = nn.Conv2d(6, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU()
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(x)))))
        return self.head(self.relu3(x + y).mean((2, 3)))


def residual_block(f, x):
    x = relu(f.bn1(f.conv1(x)))  # plain calls: no activation is a layer
    y = f.bn3(f.conv3(relu(f.bn2(f.conv2(x)))))
    return f.head(global_avg_pool(relu(x + y)))


RESIDUAL = wire(
    residual_block,
    **{f"conv{i}": conv(6) for i in (1, 2, 3)},
    **{f"bn{i}": batch_norm() for i in (1, 2, 3)},
    head=dense(3),
)


@pytest.fixture(scope="module", params=["plain", pytest.param("residual", marks=pytest.mark.slow)])
def twins(request):
    """The same network twice: ours, and a module."""
    layer, module = (PLAIN, Plain()) if request.param == "plain" else (RESIDUAL, Residual())
    module = randomized(module)
    theirs = {key: value.numpy() for key, value in module.state_dict().items()}
    kinds = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}

    def same(path):
        name, kind = path.split("/")
        array = theirs[f"{name}.{kinds.get(kind, kind)}"]
        return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T

    network = start_network(layer, random.key(0), X)
    params, state = (
        trees.nested({path: same(path) for path in trees.flat(tree)})
        for tree in (network.params, network.state)
    )
    return network.replace(params=params, state=state), module


def tensor(x):
    return torch.tensor(np.moveaxis(np.asarray(x), -1, 1), requires_grad=True)


def ours(maps):
    """Channels last."""
    return np.moveaxis(maps.detach().numpy(), 1, -1)


def test_the_networks_are_the_same(twins):
    network, module = twins
    assert_near(network(X), module(tensor(X)).detach().numpy())


@pytest.mark.slow
def test_saliency_and_gradient_x_input_equal_captums(twins):
    network, module = twins
    truth = ours(attr.Saliency(module).attribute(tensor(X), TARGET))
    assert_near(explain.saliency(network, X, TARGET), truth.max(-1))
    truth = ours(attr.InputXGradient(module).attribute(tensor(X), TARGET))
    maps = explain.gradient_x_input(network, X, TARGET, channels=True)
    assert_near(maps, truth)


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_integrated_gradients_equal_captums(twins, baseline):
    network, module = twins
    truth = attr.IntegratedGradients(module).attribute(
        tensor(X), baseline, TARGET, n_steps=20, method="gausslegendre"
    )
    options = {"baseline": baseline, "steps": 20, "channels": True}
    maps = explain.integrated_gradients(network, X, TARGET, **options)
    assert_near(maps, ours(truth))


@pytest.mark.parametrize(
    ("method", "name"),
    [(explain.guided_backprop, "GuidedBackprop"), (explain.deconvnet, "Deconvolution")],
)
def test_guided_backprop_and_deconvnet_equal_captums(twins, method, name):
    network, module = twins
    truth = ours(getattr(attr, name)(module).attribute(tensor(X), TARGET))
    assert_near(method(network, X, TARGET, channels=True), truth)


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_deep_lift_equals_captums(twins, baseline):
    network, module = twins
    baselines = torch.full((1, 2, 8, 8), baseline)
    truth = ours(attr.DeepLift(module).attribute(tensor(X), baselines, TARGET))
    maps = explain.deep_lift(network, X, TARGET, baseline=baseline, channels=True)
    assert_near(maps, truth)


@pytest.mark.parametrize("path", ["conv1", "conv2"])
def test_grad_cam_and_guided_grad_cam_equal_captums(twins, path):
    network, module = twins
    layer = getattr(module, path)
    truth = attr.LayerGradCam(module, layer).attribute(tensor(X), TARGET, relu_attributions=True)
    maps = explain.grad_cam(network, X, TARGET, path=path, resize=False)
    assert (maps > 0).any()
    assert_near(maps, ours(truth)[..., 0])
    truth = attr.GuidedGradCam(module, layer).attribute(
        tensor(X), TARGET, interpolate_mode="bilinear"
    )
    maps = explain.guided_grad_cam(network, X, TARGET, path=path, channels=True)
    assert_near(maps, ours(truth))


@pytest.mark.slow
def test_smooth_grad_and_var_grad_equal_captums_with_the_same_noise(twins, monkeypatch):
    network, module = twins
    key, samples = random.key(3), 4

    def noise(i, sample):
        one = random.fold_in(random.fold_in(key, i), sample)
        return np.asarray(random.normal(one, (X[0].size,))).reshape(X[0].shape)

    spread = 0.2 * (X.max((1, 2, 3)) - X.min((1, 2, 3)))
    draws = [spread[i] * noise(i, sample) for i in range(len(X)) for sample in range(samples)]
    monkeypatch.setattr(torch, "normal", lambda mean, std, **options: tensor(draws).detach())
    gradient = attr.Saliency(module)
    options = {"samples": samples, "noise": 0.2, "seed": 3, "channels": True}
    for kind, method in (("smoothgrad", explain.smooth_grad), ("vargrad", explain.var_grad)):
        truth = attr.NoiseTunnel(gradient).attribute(
            tensor(X), nt_type=kind, nt_samples=samples, target=TARGET, abs=False
        )
        maps = method(network, X, TARGET, **options)
        assert_near(maps, ours(truth))
