from .automatic import Auto as Auto
from .base import DivergenceEstimator as DivergenceEstimator
from .base import EntropyEstimator as EntropyEstimator
from .base import Estimator as Estimator
from .base import MutualInformationEstimator as MutualInformationEstimator
from .catalog import METHODS as METHODS
from .counting import Binned as Binned
from .counting import Discrete as Discrete
from .counting import DiscreteEntropy as DiscreteEntropy
from .entropies import FromEntropies as FromEntropies
from .kernel_density import KDE as KDE
from .kernel_density import KDEEntropy as KDEEntropy
from .kernel_divergence import CauchySchwarz as CauchySchwarz
from .multivariate import dual_total_correlation as dual_total_correlation
from .multivariate import interaction_information as interaction_information
from .multivariate import o_information as o_information
from .multivariate import total_correlation as total_correlation
from .nearest_neighbor import KSG as KSG
from .nearest_neighbor import MixedKSG as MixedKSG
from .neighbor_entropy import KNNDivergence as KNNDivergence
from .neighbor_entropy import KozachenkoLeonenko as KozachenkoLeonenko
from .normal import Gaussian as Gaussian
from .normal import GaussianCopula as GaussianCopula
from .time_series import transfer_entropy as transfer_entropy

__all__ = [
    "KDE",
    "KSG",
    "METHODS",
    "Auto",
    "Binned",
    "CauchySchwarz",
    "Discrete",
    "DiscreteEntropy",
    "DivergenceEstimator",
    "EntropyEstimator",
    "Estimator",
    "FromEntropies",
    "Gaussian",
    "GaussianCopula",
    "KDEEntropy",
    "KNNDivergence",
    "KozachenkoLeonenko",
    "MixedKSG",
    "MutualInformationEstimator",
    "dual_total_correlation",
    "interaction_information",
    "o_information",
    "total_correlation",
    "transfer_entropy",
]
