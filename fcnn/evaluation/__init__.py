"""Figures of what was predicted, on whole data in float64, and how sure they are.

Functions take the truth first, as scikit-learn's do: ``f(targets, predictions)``, of classes,
numbers or probabilities. ``weight`` is that of each example, ``[n]``.
"""

from .calibration import Reliability as Reliability
from .calibration import expected_calibration_error as expected_calibration_error
from .calibration import maximum_calibration_error as maximum_calibration_error
from .calibration import reliability_curve as reliability_curve
from .calibration import temperature as temperature
from .classification import accuracy as accuracy
from .classification import balanced_accuracy as balanced_accuracy
from .classification import confusion_matrix as confusion_matrix
from .classification import dice as dice
from .classification import f_beta as f_beta
from .classification import iou as iou
from .classification import kappa as kappa
from .classification import matthews as matthews
from .classification import precision_recall_f1 as precision_recall_f1
from .comparison import Difference as Difference
from .comparison import McNemar as McNemar
from .comparison import mcnemar as mcnemar
from .comparison import paired_bootstrap as paired_bootstrap
from .conformal import conformal_threshold as conformal_threshold
from .conformal import prediction_sets as prediction_sets
from .conformal import set_coverage as set_coverage
from .conformal import set_size as set_size
from .intervals import Interval as Interval
from .intervals import bootstrap as bootstrap
from .intervals import interval as interval
from .intervals import wilson_interval as wilson_interval
from .label_reports import LabelReport as LabelReport
from .label_reports import label_report as label_report
from .labels import hamming_loss as hamming_loss
from .labels import jaccard as jaccard
from .labels import subset_accuracy as subset_accuracy
from .overlaps import Scores as Scores
from .probabilities import brier as brier
from .probabilities import log_loss as log_loss
from .probabilities import top_k_accuracy as top_k_accuracy
from .ranking import PrecisionRecallCurve as PrecisionRecallCurve
from .ranking import RocCurve as RocCurve
from .ranking import average_precision as average_precision
from .ranking import pr_auc as pr_auc
from .ranking import precision_recall_curve as precision_recall_curve
from .ranking import roc_auc as roc_auc
from .ranking import roc_curve as roc_curve
from .regression_reports import RegressionReport as RegressionReport
from .regression_reports import regression_report as regression_report
from .reports import ClassScores as ClassScores
from .reports import Mistake as Mistake
from .reports import Report as Report
from .reports import classification_report as classification_report
from .resampled import Comparison as Comparison
from .resampled import Intervals as Intervals
from .residuals import explained_variance as explained_variance
from .residuals import mae as mae
from .residuals import mape as mape
from .residuals import max_error as max_error
from .residuals import median_absolute_error as median_absolute_error
from .residuals import mse as mse
from .residuals import r2 as r2
from .residuals import rmse as rmse
from .segmentation_reports import SegmentationReport as SegmentationReport
from .segmentation_reports import segmentation_report as segmentation_report
from .thresholds import OperatingPoint as OperatingPoint
from .thresholds import best_threshold as best_threshold
