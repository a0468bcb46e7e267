"""`METHODS`: the one list of estimators that front doors, command line and tests read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from infoest._validation import check_option


@dataclass(frozen=True)
class Entry:
    """What is known of a method without importing it.

    Args:
        module: Module inside ``infoest.estimators``.
        class_name: Name of the class.
        kind: ``"mutual_information"``, ``"entropy"`` or ``"divergence"``.
        help: One line for people.
        quick: Whether a call takes under two seconds at n = 5000.
        labels_only: Whether it takes labels and nothing else.
        quantity: What is measured where that is not Shannon's quantity of this kind, and must not
            be compared with it.
    """

    module: str
    class_name: str
    kind: str
    help: str
    quick: bool = True
    labels_only: bool = False
    quantity: str | None = None


_MI, _H, _D = "mutual_information", "entropy", "divergence"
# What `auto` may spend; here, since the front door may not import `Auto` to check a setting.
BUDGETS = ("fast", "accurate")

_ENTRIES = {
    "auto": Entry("automatic", "Auto", _MI, "Chooses by the data and says why"),
    "gaussian": Entry("normal", "Gaussian", _MI, "Exact for normal data; linear dependence only"),
    "gaussian_copula": Entry(
        "normal", "GaussianCopula", _MI, "Normal scores: any marginals, monotone dependence"
    ),
    "ksg": Entry("nearest_neighbor", "KSG", _MI, "k nearest neighbors; any smooth dependence"),
    "mixed_ksg": Entry(
        "nearest_neighbor", "MixedKSG", _MI, "k nearest neighbors, labels or mixtures allowed"
    ),
    "discrete": Entry(
        "counting", "Discrete", _MI, "Counts of labels, bias-corrected", labels_only=True
    ),
    "binned": Entry("counting", "Binned", _MI, "Equal bins, whole rows hashed"),
    "kde": Entry("kernel_density", "KDE", _MI, "Leave-one-out kernel densities", False),
    "from_entropies": Entry(
        "entropies", "FromEntropies", _MI, "H(X) + H(Y) - H(X, Y) by any entropy estimator"
    ),
    "cauchy_schwarz_qmi": Entry(
        "kernel_dependence",
        "CauchySchwarzQMI",
        _MI,
        "Cauchy-Schwarz information of kernel densities",
        quantity="cauchy_schwarz_qmi",
    ),
    "hsic": Entry(
        "kernel_dependence",
        "HSIC",
        _MI,
        "Hilbert-Schmidt independence criterion",
        quantity="hsic",
    ),
    "matrix_renyi": Entry(
        "spectral_information",
        "MatrixRenyi",
        _MI,
        "Entropies of kernel matrices",
        False,
        quantity="matrix_renyi_mi",
    ),
    "diffusion_spectral_mi": Entry(
        "spectral_information",
        "DiffusionSpectralMI",
        _MI,
        "Diffusion spectral entropy of all rows and within classes",
        quantity="diffusion_spectral_mi",
    ),
    "wasserstein_dependency": Entry(
        "optimal_transport",
        "WassersteinDependency",
        _MI,
        "Transport distance from joint to product law",
        False,
        quantity="wasserstein_dependency",
    ),
    "noise_contrastive": Entry(
        "ratios",
        "NoiseContrastive",
        _MI,
        "Critic trained on noise-contrastive odds, calibrated",
        False,
    ),
    "mine": Entry(
        "lower_bounds",
        "MINE",
        _MI,
        "Donsker-Varadhan bound, steadier gradient",
        False,
        quantity="lower_bound",
    ),
    "donsker_varadhan": Entry(
        "lower_bounds",
        "DonskerVaradhan",
        _MI,
        "Donsker-Varadhan bound of a critic",
        False,
        quantity="lower_bound",
    ),
    "nwj": Entry(
        "lower_bounds",
        "NWJ",
        _MI,
        "Unnormalized bound of a critic",
        False,
        quantity="lower_bound",
    ),
    "tuba": Entry(
        "lower_bounds",
        "TUBA",
        _MI,
        "Unnormalized bound with a learned baseline",
        False,
        quantity="lower_bound",
    ),
    "flo": Entry(
        "lower_bounds",
        "FLO",
        _MI,
        "Fenchel-Legendre bound of two networks",
        False,
        quantity="lower_bound",
    ),
    "infonce": Entry(
        "lower_bounds",
        "InfoNCE",
        _MI,
        "Contrastive bound, at most log n",
        False,
        quantity="lower_bound",
    ),
    "interpolated_bound": Entry(
        "lower_bounds",
        "InterpolatedBound",
        _MI,
        "Between InfoNCE and TUBA",
        False,
        quantity="lower_bound",
    ),
    "jensen_shannon": Entry(
        "ratios",
        "JensenShannon",
        _MI,
        "Critic of a logistic objective, read as a bound",
        False,
        quantity="lower_bound",
    ),
    "smile": Entry(
        "ratios",
        "SMILE",
        _MI,
        "The same critic, clipped partition term",
        False,
    ),
    "infonce_anchor": Entry(
        "ratios",
        "InfoNCEAnchor",
        _MI,
        "Contrast with an anchor class: no cap at log n",
        False,
    ),
    "club": Entry(
        "conditional_densities",
        "CLUB",
        _MI,
        "Contrastive log-ratio bound of a conditional density",
        False,
        quantity="upper_bound",
    ),
    "leave_one_out": Entry(
        "conditional_densities",
        "LeaveOneOut",
        _MI,
        "Conditional density against its leave-one-out mixture",
        False,
        quantity="upper_bound",
    ),
    "barber_agakov": Entry(
        "conditional_densities",
        "BarberAgakov",
        _MI,
        "Entropy less conditional cross-entropy",
        False,
    ),
    "difference_of_entropies": Entry(
        "conditional_densities",
        "DifferenceOfEntropies",
        _MI,
        "Cross-entropies of q(y) and q(y given x)",
        False,
    ),
    "kozachenko_leonenko": Entry(
        "neighbor_entropy", "KozachenkoLeonenko", _H, "k nearest neighbors, plain or weighted"
    ),
    "kde_entropy": Entry("kernel_density", "KDEEntropy", _H, "Leave-one-out kernel density"),
    "discrete_entropy": Entry("counting", "DiscreteEntropy", _H, "Counts, six bias corrections"),
    "diffusion_spectral_entropy": Entry(
        "spectral_entropies",
        "DiffusionSpectralEntropy",
        _H,
        "Spectrum of a random walk on the samples",
        False,
        quantity="diffusion_spectral_entropy",
    ),
    "von_neumann_entropy": Entry(
        "spectral_entropies",
        "VonNeumannEntropy",
        _H,
        "Spectrum of the covariance",
        quantity="von_neumann_entropy",
    ),
    "matrix_renyi_entropy": Entry(
        "spectral_entropies",
        "MatrixRenyiEntropy",
        _H,
        "Spectrum of a kernel matrix",
        False,
        quantity="matrix_renyi_entropy",
    ),
    "cauchy_schwarz": Entry(
        "kernel_divergence", "CauchySchwarz", _D, "Cauchy-Schwarz divergence of kernel densities"
    ),
    "mmd": Entry(
        "kernel_divergence",
        "MMD",
        _D,
        "Squared maximum mean discrepancy",
        quantity="squared_maximum_mean_discrepancy",
    ),
    "knn_divergence": Entry(
        "neighbor_entropy", "KNNDivergence", _D, "Kullback-Leibler divergence by nearest neighbors"
    ),
}


class Methods(Mapping[str, type]):
    """Mapping from a method's name to its class; a look-up imports only that class.

    Example:
        >>> METHODS["binned"](bins=8)
        Binned(random_state=0, bins=8, limits=None)
        >>> METHODS.entry("ksg").kind
        'mutual_information'
        >>> METHODS.names("divergence")
        ['cauchy_schwarz', 'mmd', 'knn_divergence']
    """

    def __getitem__(self, name: str) -> type[Any]:
        entry = _ENTRIES[name]
        found: type[Any] = getattr(
            import_module(f"infoest.estimators.{entry.module}"), entry.class_name
        )
        return found

    def __contains__(self, name: object) -> bool:
        return name in _ENTRIES

    def __iter__(self) -> Iterator[str]:
        return iter(_ENTRIES)

    def __len__(self) -> int:
        return len(_ENTRIES)

    def __repr__(self) -> str:
        return f"METHODS({', '.join(_ENTRIES)})"

    def entry(self, name: str) -> Entry:
        """Return kind and help of a method without importing it."""
        return _ENTRIES[name]

    def names(self, kind: str) -> list[str]:
        """Return the names of all methods of one kind."""
        return [name for name, entry in _ENTRIES.items() if entry.kind == kind]

    def quick_names(self, kind: str) -> list[str]:
        """Return the names of the methods of Shannon's quantity for continuous data, under 2 s."""
        entries = ((name, self.entry(name)) for name in self.names(kind))
        return [
            name
            for name, entry in entries
            if entry.quick and not entry.labels_only and entry.quantity is None
        ]

    def resolve(self, method: object, kind: str, random_state: int | None) -> Any:
        """Return an estimator of this kind for a name or an instance.

        Args:
            method: Name of a method or an estimator.
            kind: What it must estimate.
            random_state: Seed given to a copy of the estimator; None keeps its own.

        Raises:
            ValueError: If the name is unknown or of another kind.
            TypeError: If ``method`` is neither a name nor an estimator.
        """
        estimator: Any
        if isinstance(method, str):
            check_option("method", method, self.names(kind))
            estimator = self[method]()
        elif isinstance(method, type) or not hasattr(method, "get_params"):
            raise TypeError(
                f"method must be a name or an estimator, got {method!r}. "
                f"Names: {', '.join(self.names(kind))}."
            )
        else:
            estimator = method
            other = getattr(method, "kind", kind)
            if other != kind:
                raise ValueError(
                    f"method must estimate {kind}, got {method!r} for {other}. "
                    f"Names: {', '.join(self.names(kind))}."
                )
        if random_state is None:
            return estimator
        return estimator.copy().set_params(random_state=random_state)

    def name_of(self, estimator: object) -> str:
        """Return the name of an estimator's method, or its class name if it is not listed."""
        class_name = type(estimator).__name__
        return next(
            (name for name, entry in _ENTRIES.items() if entry.class_name == class_name), class_name
        )


METHODS = Methods()
