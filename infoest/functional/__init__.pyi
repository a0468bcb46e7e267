from .bounds import club as club
from .bounds import donsker_varadhan as donsker_varadhan
from .bounds import flo as flo
from .bounds import infonce as infonce
from .bounds import infonce_anchor as infonce_anchor
from .bounds import interpolated as interpolated
from .bounds import jensen_shannon as jensen_shannon
from .bounds import leave_one_out as leave_one_out
from .bounds import noise_contrastive as noise_contrastive
from .bounds import nwj as nwj
from .bounds import smile as smile
from .bounds import tuba as tuba
from .calibration import Calibration as Calibration
from .calibration import ScoreHistogram as ScoreHistogram
from .dependence import cauchy_schwarz_qmi as cauchy_schwarz_qmi
from .dependence import hsic as hsic
from .discrete import discrete_entropy as discrete_entropy
from .divergences import cauchy_schwarz as cauchy_schwarz
from .divergences import conditional_cauchy_schwarz as conditional_cauchy_schwarz
from .divergences import mmd as mmd
from .mixture_bounds import kde_entropy_bounds as kde_entropy_bounds
from .mixture_bounds import mixture_information_bounds as mixture_information_bounds
from .neighbor_information import knn_divergence as knn_divergence
from .neighbor_information import kozachenko_leonenko as kozachenko_leonenko
from .neighbor_information import ksg as ksg
from .normals import gaussian_kl as gaussian_kl
from .normals import gaussian_wasserstein as gaussian_wasserstein
from .order_statistics import spacing_entropy as spacing_entropy
from .order_statistics import wasserstein_1d as wasserstein_1d
from .partitions import partition_entropy as partition_entropy
from .partitions import run_entropy as run_entropy
from .plans import infoot_mi as infoot_mi
from .quantiles import pinball as pinball
from .renyi import matrix_renyi_entropy as matrix_renyi_entropy
from .renyi import matrix_renyi_mi as matrix_renyi_mi
from .representation import VICRegTerms as VICRegTerms
from .representation import coding_rate as coding_rate
from .representation import vicreg_terms as vicreg_terms
from .score_statistics import ScoreStatistics as ScoreStatistics
from .sequences import temporal_infonce as temporal_infonce
from .soft_entropies import bernoulli_entropy_change as bernoulli_entropy_change
from .soft_entropies import code_information as code_information
from .soft_entropies import functional_entropy as functional_entropy
from .soft_entropies import integrated_kl as integrated_kl
from .soft_partitions import soft_range_partition_entropy as soft_range_partition_entropy
from .spectral import diffusion_spectral_entropy as diffusion_spectral_entropy
from .spectral import gram_entropy as gram_entropy
from .spectral import von_neumann_entropy as von_neumann_entropy
from .student_copula import StudentCopula as StudentCopula
from .student_copula import fit_student_copula as fit_student_copula
from .student_copula import student_copula_mi as student_copula_mi

__all__ = [
    "Calibration",
    "ScoreHistogram",
    "ScoreStatistics",
    "StudentCopula",
    "VICRegTerms",
    "bernoulli_entropy_change",
    "cauchy_schwarz",
    "cauchy_schwarz_qmi",
    "club",
    "code_information",
    "coding_rate",
    "conditional_cauchy_schwarz",
    "diffusion_spectral_entropy",
    "discrete_entropy",
    "donsker_varadhan",
    "fit_student_copula",
    "flo",
    "functional_entropy",
    "gaussian_kl",
    "gaussian_wasserstein",
    "gram_entropy",
    "hsic",
    "infonce",
    "infonce_anchor",
    "infoot_mi",
    "integrated_kl",
    "interpolated",
    "jensen_shannon",
    "kde_entropy_bounds",
    "knn_divergence",
    "kozachenko_leonenko",
    "ksg",
    "leave_one_out",
    "matrix_renyi_entropy",
    "matrix_renyi_mi",
    "mixture_information_bounds",
    "mmd",
    "noise_contrastive",
    "nwj",
    "partition_entropy",
    "pinball",
    "run_entropy",
    "smile",
    "soft_range_partition_entropy",
    "spacing_entropy",
    "student_copula_mi",
    "temporal_infonce",
    "tuba",
    "vicreg_terms",
    "von_neumann_entropy",
    "wasserstein_1d",
]
