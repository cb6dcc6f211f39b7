"""Grad-CAM of ResNet-20 against the formula of its paper, in PyTorch on the same weights."""

import numpy as np
import pytest

from fcnn import models
from fcnn.explain import grad_cam

from ..models.dialect_parts import randomized
from ..models.test_resnet_parity import CifarResNet, torch


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_grad_cam_of_a_named_layer_equals_the_formula(stage, tmp_path):
    module, kept = randomized(CifarResNet("resnet20")), []
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    getattr(module, f"layer{stage}").register_forward_hook(lambda *call: kept.append(call[-1]))
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    outputs = module(torch.tensor(np.moveaxis(x, -1, 1)))
    (features,) = kept
    (slope,) = torch.autograd.grad(outputs[:, 7].sum(), features)
    weights = slope.mean((2, 3), keepdim=True)
    truth = torch.relu((weights * features).sum(1)).detach().numpy()

    network = models.from_torch("resnet20", tmp_path / "weights.pt")
    maps = grad_cam(network, x, 7, path=f"stage{stage}", resize=False)
    assert truth.max() > 0
    np.testing.assert_allclose(maps, truth, rtol=1e-3, atol=1e-4 * truth.max())
