from . import analysis as analysis
from . import benchmarking as benchmarking
from . import datasets as datasets
from . import functional as functional
from . import kernels as kernels
from . import transport as transport
from .estimators import HSIC as HSIC
from .estimators import KDE as KDE
from .estimators import KSG as KSG
from .estimators import METHODS as METHODS
from .estimators import MMD as MMD
from .estimators import Auto as Auto
from .estimators import Binned as Binned
from .estimators import CauchySchwarz as CauchySchwarz
from .estimators import CauchySchwarzQMI as CauchySchwarzQMI
from .estimators import DiffusionSpectralEntropy as DiffusionSpectralEntropy
from .estimators import DiffusionSpectralMI as DiffusionSpectralMI
from .estimators import Discrete as Discrete
from .estimators import DiscreteEntropy as DiscreteEntropy
from .estimators import FromEntropies as FromEntropies
from .estimators import Gaussian as Gaussian
from .estimators import GaussianCopula as GaussianCopula
from .estimators import KDEEntropy as KDEEntropy
from .estimators import KNNDivergence as KNNDivergence
from .estimators import KozachenkoLeonenko as KozachenkoLeonenko
from .estimators import MatrixRenyi as MatrixRenyi
from .estimators import MatrixRenyiEntropy as MatrixRenyiEntropy
from .estimators import MixedKSG as MixedKSG
from .estimators import VonNeumannEntropy as VonNeumannEntropy
from .estimators import WassersteinDependency as WassersteinDependency
from .estimators import dual_total_correlation as dual_total_correlation
from .estimators import interaction_information as interaction_information
from .estimators import o_information as o_information
from .estimators import total_correlation as total_correlation
from .estimators import transfer_entropy as transfer_entropy
from .front import divergence as divergence
from .front import entropy as entropy
from .front import estimate as estimate
from .front import matrix as matrix
from .information_matrix import InformationMatrix as InformationMatrix
from .result import Caution as Caution
from .result import Estimate as Estimate

__version__: str

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
    "Caution",
    "DiffusionSpectralEntropy",
    "DiffusionSpectralMI",
    "Discrete",
    "DiscreteEntropy",
    "Estimate",
    "FromEntropies",
    "Gaussian",
    "GaussianCopula",
    "InformationMatrix",
    "KDEEntropy",
    "KNNDivergence",
    "KozachenkoLeonenko",
    "MatrixRenyi",
    "MatrixRenyiEntropy",
    "MixedKSG",
    "VonNeumannEntropy",
    "WassersteinDependency",
    "analysis",
    "benchmarking",
    "datasets",
    "divergence",
    "dual_total_correlation",
    "entropy",
    "estimate",
    "functional",
    "interaction_information",
    "kernels",
    "matrix",
    "o_information",
    "total_correlation",
    "transfer_entropy",
    "transport",
]
