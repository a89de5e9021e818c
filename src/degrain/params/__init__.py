"""The study, typed: what params.yaml may say, and what each parameter means.

The texts of the fields are the reference page docs/params.md (`degrain params` prints it).
"""

from degrain.params.data import DataParams, StudyParams, ValidateParams
from degrain.params.noise import NoiseParams
from degrain.params.prepare import PrepareParams, ResizeParams, SplitParams
from degrain.params.results import EvaluateParams, RegisterParams, ReportParams
from degrain.params.study import DEFAULT_PATH, Params, load_params
from degrain.params.train import LossParams, LossTerm, OptimizerParams, TrainParams

__all__ = [
    "DEFAULT_PATH",
    "DataParams",
    "EvaluateParams",
    "LossParams",
    "LossTerm",
    "NoiseParams",
    "OptimizerParams",
    "Params",
    "PrepareParams",
    "RegisterParams",
    "ReportParams",
    "ResizeParams",
    "SplitParams",
    "StudyParams",
    "TrainParams",
    "ValidateParams",
    "load_params",
]
