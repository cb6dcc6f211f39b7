"""Why a network says what it says: one function a method, ``(network, x, target) -> map``."""

from .. import figures as figures
from . import check as check
from .ablating import feature_ablation as feature_ablation
from .ablating import occlusion as occlusion
from .class_activation import grad_cam as grad_cam
from .class_activation import grad_cam_plus_plus as grad_cam_plus_plus
from .class_activation import guided_grad_cam as guided_grad_cam
from .class_activation import layer_cam as layer_cam
from .class_activation import score_cam as score_cam
from .contributions import deep_lift as deep_lift
from .features import feature_maps as feature_maps
from .features import filters as filters
from .gradients import gradient_x_input as gradient_x_input
from .gradients import saliency as saliency
from .gradients import smooth_grad as smooth_grad
from .gradients import var_grad as var_grad
from .maximising import activation_maximisation as activation_maximisation
from .neighbours import Neighbours as Neighbours
from .neighbours import nearest_examples as nearest_examples
from .path_integrals import completeness_gap as completeness_gap
from .path_integrals import integrated_gradients as integrated_gradients
from .rectifiers import deconvnet as deconvnet
from .rectifiers import guided_backprop as guided_backprop
from .segmenting import superpixels as superpixels
from .shapley import kernel_shap as kernel_shap
from .surrogates import lime as lime
