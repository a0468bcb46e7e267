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
from .kernel_dependence import HSIC as HSIC
from .kernel_dependence import CauchySchwarzQMI as CauchySchwarzQMI
from .kernel_divergence import MMD as MMD
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
from .optimal_transport import WassersteinDependency as WassersteinDependency
from .spectral_entropies import DiffusionSpectralEntropy as DiffusionSpectralEntropy
from .spectral_entropies import MatrixRenyiEntropy as MatrixRenyiEntropy
from .spectral_entropies import VonNeumannEntropy as VonNeumannEntropy
from .spectral_information import DiffusionSpectralMI as DiffusionSpectralMI
from .spectral_information import MatrixRenyi as MatrixRenyi
from .time_series import transfer_entropy as transfer_entropy

__all__ = [
    "HSIC",
    "KDE",
    "KSG",
    "METHODS",
    "MMD",
    "Auto",
    "Binned",
    "CauchySchwarz",
    "CauchySchwarzQMI",
    "DiffusionSpectralEntropy",
    "DiffusionSpectralMI",
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
    "MatrixRenyi",
    "MatrixRenyiEntropy",
    "MixedKSG",
    "MutualInformationEstimator",
    "VonNeumannEntropy",
    "WassersteinDependency",
    "dual_total_correlation",
    "interaction_information",
    "o_information",
    "total_correlation",
    "transfer_entropy",
]
