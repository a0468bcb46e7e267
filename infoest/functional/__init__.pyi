from .discrete import discrete_entropy as discrete_entropy
from .divergences import cauchy_schwarz as cauchy_schwarz
from .neighbor_information import knn_divergence as knn_divergence
from .neighbor_information import kozachenko_leonenko as kozachenko_leonenko
from .neighbor_information import ksg as ksg

__all__ = ["cauchy_schwarz", "discrete_entropy", "knn_divergence", "kozachenko_leonenko", "ksg"]
