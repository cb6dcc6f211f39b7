"""PyTorch: eager unless asked to compile, channels last, its own number of threads."""

import contextlib
import time

import numpy as np
import torch
from torch.nn import functional as F

from ..cases import RATE, Case, Settings, case_named, example
from ..data import mnist
from ..operations import operands, operation_named
from ..runs import Run
from .torch_models import MODELS, channels_last, count
from .torch_operations import FUNCTIONS


def train(case: str, settings: Settings) -> Run:
    case = case_named(case)
    model, x, y = _prepared(case, settings)
    model.train()
    parameters = count(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    if settings.torch_compile:
        model = torch.compile(model)

    def step():
        optimizer.zero_grad()
        with _precision(settings):
            loss = _loss(case, model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Run(step, torch.Tensor.item, parameters)


def inference(case: str, settings: Settings) -> Run:
    case = case_named(case)
    model, x, _ = _prepared(case, settings)
    model.eval()
    parameters = count(model)
    if settings.torch_compile:
        model = torch.compile(model)

    def step():
        with torch.inference_mode(), _precision(settings):
            return model(x)

    return Run(step, _wait, parameters)


def operation(case: str, backward: bool, settings: Settings) -> Run:
    op = operation_named(case)
    x, *weights = (
        torch.from_numpy(array).to(device(settings), getattr(torch, settings.dtype))
        for array in operands(op)
    )
    x = channels_last(x)
    if op.kernel:
        layout = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}
        kernel = weights[0].movedim((-1, -2), (0, 1))  # out, in; of a transposed one in, out
        weights = [kernel.contiguous(memory_format=layout[op.rank])]
    function = FUNCTIONS[op.function]
    if not backward:

        def forward():
            with torch.inference_mode():
                return function(op, x, *weights)

        return Run(forward, _wait)

    for array in weights if op.first else (x, *weights):
        array.requires_grad_()
    with torch.no_grad():
        cotangent = torch.ones_like(function(op, x, *weights))

    def both():
        for array in (x, *weights):
            array.grad = None
        y = function(op, x, *weights)
        y.backward(cotangent)
        return y

    return Run(both, _wait)


def epoch(examples: int, settings: Settings) -> dict[str, float | str]:
    """The plain loop over shuffled indices, without the cost of a ``DataLoader``."""
    x, y, name = mnist(examples)
    model = MODELS["mnist_cnn"](case_named("mnist_cnn-b32"))
    model = model.to(device(settings), memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    x = channels_last(torch.from_numpy(x)).to(device(settings))
    y = torch.from_numpy(y.astype(np.int64)).to(device(settings))
    model.train()
    times = [time.perf_counter()]
    for _ in range(2):
        total = torch.zeros((), device=x.device)
        for batch in torch.randperm(len(x), device=x.device).split(32):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()
        times.append(time.perf_counter())
    return {"data": name, "first": times[1] - times[0], "seconds": times[2] - times[1]}


def device(settings: Settings) -> str:
    if settings.device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    return {"gpu": "cuda"}.get(settings.device, settings.device)


def _prepared(case: Case, settings: Settings):
    torch.manual_seed(0)
    x, y = (torch.from_numpy(array).to(device(settings)) for array in example(case))
    model = MODELS[case.model](case).to(device(settings), memory_format=torch.channels_last)
    return model, channels_last(x), y.long() if case.classes else channels_last(y)


def _loss(case: Case, outputs, targets):
    if case.classes:
        return F.cross_entropy(outputs.float(), targets)
    return F.mse_loss(outputs.float(), targets)


def _precision(settings: Settings):
    if settings.dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device(settings), getattr(torch, settings.dtype))


def _wait(result: torch.Tensor) -> None:
    if result.is_cuda:
        torch.cuda.synchronize()
