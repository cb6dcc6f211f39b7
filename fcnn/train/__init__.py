"""From a layer to a network: the pure step, and the loops around it."""

from .evaluation import evaluate as evaluate
from .evaluation import predict as predict
from .fitting import Moment as Moment
from .fitting import fit as fit
from .history import History as History
from .report import RegressionReport as RegressionReport
from .report import Report as Report
from .state import TrainState as TrainState
from .state import start as start
from .stepping import make_step as make_step
