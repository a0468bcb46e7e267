from .automatic import Auto as Auto
from .base import DivergenceEstimator as DivergenceEstimator
from .base import EntropyEstimator as EntropyEstimator
from .base import Estimator as Estimator
from .base import MutualInformationEstimator as MutualInformationEstimator
from .catalog import METHODS as METHODS
from .conditional_densities import CLUB as CLUB
from .conditional_densities import BarberAgakov as BarberAgakov
from .conditional_densities import DifferenceOfEntropies as DifferenceOfEntropies
from .conditional_densities import LeaveOneOut as LeaveOneOut
from .counting import Binned as Binned
from .counting import Discrete as Discrete
from .counting import DiscreteEntropy as DiscreteEntropy
from .entropies import FromEntropies as FromEntropies
from .kernel_density import KDE as KDE
from .kernel_density import KDEEntropy as KDEEntropy
from .kernel_dependence import HSIC as HSIC
from .kernel_dependence import CauchySchwarzQMI as CauchySchwarzQMI
from .kernel_divergence import MMD as MMD
from .kernel_divergence import CauchySchwarz as CauchySchwarz
from .lower_bounds import FLO as FLO
from .lower_bounds import MINE as MINE
from .lower_bounds import NWJ as NWJ
from .lower_bounds import TUBA as TUBA
from .lower_bounds import DonskerVaradhan as DonskerVaradhan
from .lower_bounds import InfoNCE as InfoNCE
from .lower_bounds import InterpolatedBound as InterpolatedBound
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
from .optimal_transport import WassersteinDependency as WassersteinDependency
from .ratios import SMILE as SMILE
from .ratios import InfoNCEAnchor as InfoNCEAnchor
from .ratios import JensenShannon as JensenShannon
from .ratios import NoiseContrastive as NoiseContrastive
from .spectral_entropies import DiffusionSpectralEntropy as DiffusionSpectralEntropy
from .spectral_entropies import MatrixRenyiEntropy as MatrixRenyiEntropy
from .spectral_entropies import VonNeumannEntropy as VonNeumannEntropy
from .spectral_information import DiffusionSpectralMI as DiffusionSpectralMI
from .spectral_information import MatrixRenyi as MatrixRenyi
from .time_series import transfer_entropy as transfer_entropy
from .variational import CriticEstimator as CriticEstimator

__all__ = [
    "CLUB",
    "FLO",
    "HSIC",
    "KDE",
    "KSG",
    "METHODS",
    "MINE",
    "MMD",
    "NWJ",
    "SMILE",
    "TUBA",
    "Auto",
    "BarberAgakov",
    "Binned",
    "CauchySchwarz",
    "CauchySchwarzQMI",
    "CriticEstimator",
    "DifferenceOfEntropies",
    "DiffusionSpectralEntropy",
    "DiffusionSpectralMI",
    "Discrete",
    "DiscreteEntropy",
    "DivergenceEstimator",
    "DonskerVaradhan",
    "EntropyEstimator",
    "Estimator",
    "FromEntropies",
    "Gaussian",
    "GaussianCopula",
    "InfoNCE",
    "InfoNCEAnchor",
    "InterpolatedBound",
    "JensenShannon",
    "KDEEntropy",
    "KNNDivergence",
    "KozachenkoLeonenko",
    "LeaveOneOut",
    "MatrixRenyi",
    "MatrixRenyiEntropy",
    "MixedKSG",
    "MutualInformationEstimator",
    "NoiseContrastive",
    "VonNeumannEntropy",
    "WassersteinDependency",
    "dual_total_correlation",
    "interaction_information",
    "o_information",
    "total_correlation",
    "transfer_entropy",
]
