"""Named suites of tasks: a law, the maps on its sides, and its true mutual information."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from infoest._validation import check_option

from . import maps
from ._sample import Sample
from .heavy_tails import multivariate_student
from .mixtures import (
    ai_mixture,
    concentric_gaussians,
    galaxy,
    sparse_normal_with_inliers,
    waves,
    x_mixture,
)
from .normals import correlated_normal, dense_normal, sparse_normal
from .uniforms import additive_uniform

Law = Callable[..., Sample]
Maps = tuple[Callable[[np.ndarray], np.ndarray], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A law with known mutual information, under the identifier that the field knows it by.

    Args:
        name: Identifier.
        mi: True I(X;Y) in nats.
        mi_error: Largest error of ``mi`` in nats; 0.0 where it has a closed form.
        law: Sampler, called as ``law(n, random_state=random_state)``.
        x_maps: Invertible maps of X, first to last.
        y_maps: Invertible maps of Y, first to last.

    Example:
        >>> task = suite("core")[0]
        >>> x, y = task.sample(1000, random_state=0)
        >>> task.name, x.shape, round(task.mi, 4)
        ('1v1-normal-0.75', (1000, 1), 0.4133)
    """

    name: str
    mi: float
    mi_error: float = 0.0
    law: Law = field(repr=False)
    x_maps: Maps = field(default=(), repr=False)
    y_maps: Maps = field(default=(), repr=False)

    def sample(self, n: int, random_state: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw x of shape (n, d_x) and y of shape (n, d_y), float64.

        Args:
            n: Number of samples, at least 1.
            random_state: Seed, or None for a fresh stream.
        """
        x, y, _ = self.law(n, random_state=random_state)
        for transform in self.x_maps:
            x = transform(x)
        for transform in self.y_maps:
            y = transform(y)
        return x, y


def suite(name: str) -> list[Task]:
    """Return the tasks of a suite.

    Args:
        name: ``"core"``, the 40 tasks of Beyond Normal; ``"mixtures"``, ten mixtures of normals; or
            ``"staircase"``, three laws of 20 columns a side at 2, 4, 6, 8 and 10 nats.

    Returns:
        Tasks in the order of the publications; their names are distinct.

    Raises:
        ValueError: If there is no suite of that name.

    References:
        Czyz et al. (2023), "Beyond Normal: On the Evaluation of Mutual Information Estimators",
        for the core. Czyz et al. (2023), "On the Properties and Estimation of Pointwise Mutual
        Information Profiles", for the mixtures. Song, Ermon (2020), "Understanding the Limitations
        of Variational Mutual Information Estimators", for the first two laws of the staircase; the
        third, half-cubes of both sides and a rotation of y, is no longer normal in its ranks.

    Example:
        >>> len(suite("core")), len(suite("mixtures")), len(suite("staircase"))
        (40, 10, 15)
    """
    check_option("name", name, _SUITES)
    return _SUITES[name]()


_CDF: Maps = (maps.normal_cdf,)
_HALF_CUBE: Maps = (maps.half_cube,)
_ASINH: Maps = (maps.asinh,)
_SPIRAL_X: Maps = (partial(maps.spiral, axes=(0, 1)),)
_SPIRAL_Y: Maps = (partial(maps.spiral, axes=(1, 2)),)


def _core() -> list[Task]:
    normal = partial(correlated_normal, rho=0.75)
    cauchy = partial(multivariate_student, degrees_of_freedom=1)
    bimodal_y = partial(maps.bimodal, weight=0.5, means=(-1.0, 3.0))
    wiggly_y = partial(maps.wiggly, waves=maps.WIGGLY_Y)
    tasks = [
        _closed_form("1v1-normal-0.75", normal),
        _closed_form("normal_cdf-1v1-normal-0.75", normal, _CDF, _CDF),
        _closed_form("1v1-additive-0.1", partial(additive_uniform, epsilon=0.1)),
        _closed_form("1v1-additive-0.75", partial(additive_uniform, epsilon=0.75)),
        _closed_form("1v1-bimodal-0.75", normal, (maps.bimodal,), (bimodal_y,)),
        _closed_form("wiggly-1v1-normal-0.75", normal, (maps.wiggly,), (wiggly_y,)),
        _closed_form("half_cube-1v1-normal-0.75", normal, _HALF_CUBE, _HALF_CUBE),
        _closed_form("student-identity-1-1-1", cauchy),
        _closed_form("asinh-student-identity-1-1-1", cauchy, _ASINH, _ASINH),
        _closed_form(
            "swissroll_x-normal_cdf-1v1-normal-0.75", normal, (*_CDF, maps.swissroll), _CDF
        ),
    ]
    for d in (2, 3, 5, 25, 50):
        law = partial(dense_normal, dim_x=d, dim_y=d, correlation=0.5)
        tasks.append(_closed_form(f"multinormal-dense-{d}-{d}-0.5", law))
    sparse = {d: partial(sparse_normal, dim_x=d, dim_y=d) for d in (2, 3, 5, 25)}
    tasks += [_closed_form(f"multinormal-sparse-{d}-{d}-2-2.0", sparse[d]) for d in sparse]
    student = {
        (d, nu): partial(multivariate_student, dim_x=d, dim_y=d, degrees_of_freedom=nu)
        for d, nu in ((2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))
    }
    tasks += [_closed_form(f"student-identity-{d}-{d}-{nu}", student[d, nu]) for d, nu in student]
    for prefix, x_maps, y_maps in (
        ("normal_cdf", _CDF, _CDF),
        ("half_cube", _HALF_CUBE, _HALF_CUBE),
        ("spiral", _SPIRAL_X, _SPIRAL_Y),
        ("spiral-normal_cdf", _CDF + _SPIRAL_X, _CDF + _SPIRAL_Y),
    ):
        for d in (3, 5, 25):
            name = f"{prefix}-multinormal-sparse-{d}-{d}-2-2.0"
            tasks.append(_closed_form(name, sparse[d], x_maps, y_maps))
    for d, nu in ((2, 1), (3, 2), (5, 2)):
        name = f"asinh-student-identity-{d}-{d}-{nu}"
        tasks.append(_closed_form(name, student[d, nu], _ASINH, _ASINH))
    return tasks


def _closed_form(name: str, law: Law, x_maps: Maps = (), y_maps: Maps = ()) -> Task:
    mi = law(1, random_state=0).mi  # the closed form stands in the sampler, and only there
    return Task(name=name, mi=mi, law=law, x_maps=x_maps, y_maps=y_maps)


# Values of the integrals in `_quadrature`, rounded to 1e-9; a test computes them again. As a check
# from outside, Monte Carlo means of the log density ratio (seed 2, 16 million draws, 4 million for
# the waves and 25v1) lie within 1.9 of their standard errors, which are 1.3e-4 to 3.2e-4.
_MIXTURE_MI_ERROR = 1e-9


def _mixtures() -> list[Task]:
    concentric, inliers = concentric_gaussians, sparse_normal_with_inliers
    tasks: list[tuple[str, float, Law]] = [
        ("1v1-X-0.9", 0.408442550, partial(x_mixture, rho=0.9)),
        ("1v1-AI", 0.775952616, ai_mixture),
        ("2v1-waves-12-5.0-3.0", 1.307017366, waves),
        ("2v1-galaxy-0.5-3.0", 0.494297697, galaxy),
        ("3v1-concentric_gaussians-5", 0.455423105, partial(concentric, dim_x=3)),
        ("5v1-concentric_gaussians-5", 0.627391143, partial(concentric, dim_x=5)),
        ("25v1-concentric_gaussians-5", 1.190768027, partial(concentric, dim_x=25)),
        ("mult-sparse-w-inliers-5-5-2-2.0-0.2", 0.635758902, inliers),
        (
            "mult-sparse-w-inliers-25-25-2-2.0-0.2",
            0.635758902,
            partial(inliers, dim_x=25, dim_y=25),
        ),
        (
            "mult-sparse-w-inliers-5-5-2-2.0-0.5",
            0.269626049,
            partial(inliers, inlier_fraction=0.5),
        ),
    ]
    return [Task(name=name, mi=mi, mi_error=_MIXTURE_MI_ERROR, law=law) for name, mi, law in tasks]


_STAIRCASE_COLUMNS = 20
_STAIRCASE_STEPS = (2, 4, 6, 8, 10)


def _staircase() -> list[Task]:
    laws: dict[str, tuple[Maps, Maps]] = {
        "normal": ((), ()),
        "cubic": ((), (maps.cube,)),
        # Neither ranks of columns nor linear maps make it normal again.
        "half_cube_rotated": (_HALF_CUBE, (*_HALF_CUBE, maps.rotate)),
    }
    return [
        _closed_form(
            f"staircase-{name}-{_STAIRCASE_COLUMNS}-{mi}",
            partial(correlated_normal, mi=float(mi), dim=_STAIRCASE_COLUMNS),
            *sides,
        )
        for name, sides in laws.items()
        for mi in _STAIRCASE_STEPS
    ]


_SUITES: dict[str, Callable[[], list[Task]]] = {
    "core": _core,
    "mixtures": _mixtures,
    "staircase": _staircase,
}
