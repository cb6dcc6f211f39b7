"""Small trainings on the shipped scans."""

import jax
import numpy as np

import fcnn
from fcnn import conv, dense, dropout, flatten, max_pool, relu, serial

TRAIN, TEST = fcnn.data.digits()
FEW, HELD = TRAIN.take(np.arange(300)), TEST.take(np.arange(200))
LINEAR = serial(flatten, dense(10))
ADAM = fcnn.optimizers.adam(1e-2)  # one, so that its compiled steps are found again


def small(rate=0.0):
    return serial(conv(4, 3), relu, max_pool(2), flatten, dropout(rate), dense(10))


def begun(seed=0):
    return fcnn.Network(LINEAR, *LINEAR.init(jax.random.key(seed), HELD.x), TRAIN.classes)


def trained(seed=0, model=LINEAR, data=FEW, **options):
    options = {"epochs": 3, "progress": False, "optimizer": ADAM, **options}
    return fcnn.fit(model, data, seed=seed, **options)[0]
