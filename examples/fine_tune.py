"""What a network learned from five kinds of pictures is worth for five others, of 50 pictures each.

Command:  python examples/fine_tune.py DIR   (DIR/train/CLASS/*.jpg and DIR/test/CLASS/*.jpg)
Data:     CIFAR-10 as JPEG files: a ResNet-20 learns airplane to deer from 15,000 pictures; then
          dog, frog, horse, ship and truck are learned from 250, and told apart in 5,000 others
Seen:     in 16 minutes, on two CPU cores that had other work as well:
    from scratch                           test accuracy 0.6010  127.6 s
    a new head, all else frozen            test accuracy 0.6108   32.6 s
    a linear probe, which is its optimum   test accuracy 0.6358   12.4 s
    the head first, then all               test accuracy 0.7088   95.4 s
    ... the first layers more slowly       test accuracy 0.6774   86.3 s
    ... one stage after the other          test accuracy 0.6672   68.2 s
"""

import dataclasses
import sys
import time

import jax
import numpy as np

import fcnn
from fcnn import augment, optimizers, rescale, serial, trees
from fcnn.optimizers import adam, layerwise

OPTIONS = {"augment": augment.compose(augment.flip(), augment.crop(32, padding=4))}
OPTIONS |= {"batch_size": 25, "progress": False}


def five(data, first):
    """The pictures of five classes."""
    part = data.take(np.flatnonzero((data.y >= first) & (data.y < first + 5)))
    classes = data.classes[first : first + 5]
    return dataclasses.replace(part, y=part.y - first, classes=classes)


def tuned(optimizer, epochs=20, **options):
    how = {"head_optimizer": adam(3e-3), "optimizer": optimizer, **options, **OPTIONS}
    return fcnn.fine_tune(source, few, head_epochs=10, epochs=epochs, **how)


train, test = fcnn.data.folder(sys.argv[1])
_, many = fcnn.data.split(five(train, 0), 0.6, seed=0)
_, few = fcnn.data.split(five(train, 5), 0.01, seed=0)  # as many of each class
few, test = fcnn.data.readable(few), fcnn.data.readable(five(test, 5))  # decoded once

begun = time.perf_counter()
model = serial(rescale(1 / 255), net=fcnn.models.resnet20(classes=5))
rate = optimizers.one_cycle(0.1, 3 * -(-len(many) // 64))
source, history = fcnn.fit(
    model,
    many,
    optimizer=optimizers.momentum(rate, nesterov=True, weight_decay=5e-3),
    augment=OPTIONS["augment"],
    epochs=3,
    batch_size=64,
)
minutes = (time.perf_counter() - begun) / 60
print(f"{len(many):,} of {', '.join(many.classes)}: {minutes:.1f} minutes")

print(f"{len(few)} of {', '.join(few.classes)}, and {len(test):,} to test on:")
fresh = fcnn.models.replace_head(source, 5, jax.random.key(0))
stages = ("net/stage3/.*", "net/stage2/.*", ".*")
ways = {
    "from scratch": lambda: fcnn.fit(model, few, optimizer=adam(3e-3), epochs=40, **OPTIONS),
    "a new head, all else frozen": lambda: fcnn.fit(
        fresh, few, trainable="net/head/.*", optimizer=adam(3e-3), epochs=30, **OPTIONS
    ),
    "a linear probe, which is its optimum": lambda: (fcnn.linear_probe(source, few, l2=0.01), 0),
    "the head first, then all": lambda: tuned(adam(1e-3)),
    "... the first layers more slowly": lambda: tuned(layerwise("adam", 1e-3, source, decay=0.5)),
    "... one stage after the other": lambda: tuned(adam(1e-3), epochs=7, unfreeze=stages),
}
for number, (name, way) in enumerate(ways.items()):
    begun = time.perf_counter()
    network, _ = way()
    seconds = time.perf_counter() - begun
    accuracy = fcnn.evaluate(network, test).accuracy
    print(f"{name:38} test accuracy {accuracy:.4f}  {seconds:5.1f} s", flush=True)
    if number in (1, 2):  # what was frozen has not changed by a bit, statistics included
        old, new = (trees.flat((each.params, each.state)) for each in (source, network))
        assert all(np.array_equal(old[path], new[path]) for path in old if "head" not in path)
