"""From a layer to a network: the pure step, and the loops around it."""

from .diagnosing import NonFiniteError as NonFiniteError
from .evaluation import evaluate as evaluate
from .evaluation import predict as predict
from .fitting import fit as fit
from .history import History as History
from .memory import OutOfMemoryError as OutOfMemoryError
from .recomputing import seen as seen
from .regression import RegressionReport as RegressionReport
from .regression import regression_report as regression_report
from .report import Report as Report
from .report import classification_report as classification_report
from .running import Moment as Moment
from .state import TrainState as TrainState
from .state import start as start
from .stepping import make_step as make_step
