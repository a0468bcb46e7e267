from . import analysis as analysis
from . import benchmarking as benchmarking
from . import critics as critics
from . import datasets as datasets
from . import functional as functional
from . import kernels as kernels
from . import losses as losses
from . import nn as nn
from . import training as training
from . import transport as transport
from .estimators import CLUB as CLUB
from .estimators import FLO as FLO
from .estimators import HSIC as HSIC
from .estimators import KDE as KDE
from .estimators import KSG as KSG
from .estimators import METHODS as METHODS
from .estimators import MINE as MINE
from .estimators import MMD as MMD
from .estimators import NWJ as NWJ
from .estimators import SMILE as SMILE
from .estimators import TUBA as TUBA
from .estimators import Auto as Auto
from .estimators import BarberAgakov as BarberAgakov
from .estimators import Binned as Binned
from .estimators import CauchySchwarz as CauchySchwarz
from .estimators import CauchySchwarzQMI as CauchySchwarzQMI
from .estimators import DifferenceOfEntropies as DifferenceOfEntropies
from .estimators import DiffusionSpectralEntropy as DiffusionSpectralEntropy
from .estimators import DiffusionSpectralMI as DiffusionSpectralMI
from .estimators import Discrete as Discrete
from .estimators import DiscreteEntropy as DiscreteEntropy
from .estimators import DonskerVaradhan as DonskerVaradhan
from .estimators import FromEntropies as FromEntropies
from .estimators import Gaussian as Gaussian
from .estimators import GaussianCopula as GaussianCopula
from .estimators import InfoNCE as InfoNCE
from .estimators import InfoNCEAnchor as InfoNCEAnchor
from .estimators import InterpolatedBound as InterpolatedBound
from .estimators import JensenShannon as JensenShannon
from .estimators import KDEEntropy as KDEEntropy
from .estimators import KNNDivergence as KNNDivergence
from .estimators import KozachenkoLeonenko as KozachenkoLeonenko
from .estimators import LeaveOneOut as LeaveOneOut
from .estimators import MatrixRenyi as MatrixRenyi
from .estimators import MatrixRenyiEntropy as MatrixRenyiEntropy
from .estimators import MixedKSG as MixedKSG
from .estimators import NoiseContrastive as NoiseContrastive
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
    "Caution",
    "DifferenceOfEntropies",
    "DiffusionSpectralEntropy",
    "DiffusionSpectralMI",
    "Discrete",
    "DiscreteEntropy",
    "DonskerVaradhan",
    "Estimate",
    "FromEntropies",
    "Gaussian",
    "GaussianCopula",
    "InfoNCE",
    "InfoNCEAnchor",
    "InformationMatrix",
    "InterpolatedBound",
    "JensenShannon",
    "KDEEntropy",
    "KNNDivergence",
    "KozachenkoLeonenko",
    "LeaveOneOut",
    "MatrixRenyi",
    "MatrixRenyiEntropy",
    "MixedKSG",
    "NoiseContrastive",
    "VonNeumannEntropy",
    "WassersteinDependency",
    "analysis",
    "benchmarking",
    "critics",
    "datasets",
    "divergence",
    "dual_total_correlation",
    "entropy",
    "estimate",
    "functional",
    "interaction_information",
    "kernels",
    "losses",
    "matrix",
    "nn",
    "o_information",
    "total_correlation",
    "training",
    "transfer_entropy",
    "transport",
]
