from ._sample import Sample as Sample
from .autoregressive import TransferSample as TransferSample
from .autoregressive import ar1_pair as ar1_pair
from .autoregressive import var_process as var_process
from .discrete import discrete_table as discrete_table
from .heavy_tails import gamma_exponential as gamma_exponential
from .heavy_tails import multivariate_student as multivariate_student
from .maps import WIGGLY_X as WIGGLY_X
from .maps import WIGGLY_Y as WIGGLY_Y
from .maps import asinh as asinh
from .maps import bimodal as bimodal
from .maps import cube as cube
from .maps import half_cube as half_cube
from .maps import normal_cdf as normal_cdf
from .maps import rotate as rotate
from .maps import spiral as spiral
from .maps import swissroll as swissroll
from .maps import wiggly as wiggly
from .mixture_density import GaussianMixture as GaussianMixture
from .mixture_density import MonteCarlo as MonteCarlo
from .mixtures import ai_mixture as ai_mixture
from .mixtures import concentric_gaussians as concentric_gaussians
from .mixtures import galaxy as galaxy
from .mixtures import sparse_normal_with_inliers as sparse_normal_with_inliers
from .mixtures import waves as waves
from .mixtures import x_mixture as x_mixture
from .normals import correlated_normal as correlated_normal
from .normals import dense_normal as dense_normal
from .normals import joint_normal as joint_normal
from .normals import sparse_normal as sparse_normal
from .suites import Task as Task
from .suites import suite as suite
from .uniforms import additive_uniform as additive_uniform
from .uniforms import correlated_uniform as correlated_uniform

__all__ = [
    "WIGGLY_X",
    "WIGGLY_Y",
    "GaussianMixture",
    "MonteCarlo",
    "Sample",
    "Task",
    "TransferSample",
    "additive_uniform",
    "ai_mixture",
    "ar1_pair",
    "asinh",
    "bimodal",
    "concentric_gaussians",
    "correlated_normal",
    "correlated_uniform",
    "cube",
    "dense_normal",
    "discrete_table",
    "galaxy",
    "gamma_exponential",
    "half_cube",
    "joint_normal",
    "multivariate_student",
    "normal_cdf",
    "rotate",
    "sparse_normal",
    "sparse_normal_with_inliers",
    "spiral",
    "suite",
    "swissroll",
    "var_process",
    "waves",
    "wiggly",
    "x_mixture",
]
