"""The tasks of the suites: names and values of the field, shapes, seeds, marks of the maps."""

import inspect
import pickle
import time

import numpy as np
import pytest

from infoest.datasets import rotate, suite

# Names and values: Czyz et al. (2023), "Beyond Normal", and the repository of its benchmark.
CORE = {
    "1v1-normal-0.75": 0.413339,
    "normal_cdf-1v1-normal-0.75": 0.413339,
    "1v1-additive-0.1": 1.709438,
    "1v1-additive-0.75": 0.333333,
    "1v1-bimodal-0.75": 0.413339,
    "wiggly-1v1-normal-0.75": 0.413339,
    "half_cube-1v1-normal-0.75": 0.413339,
    "student-identity-1-1-1": 0.224171,
    "asinh-student-identity-1-1-1": 0.224171,
    "swissroll_x-normal_cdf-1v1-normal-0.75": 0.413339,
    "multinormal-dense-2-2-0.5": 0.293893,
    "multinormal-dense-3-3-0.5": 0.413339,
    "multinormal-dense-5-5-0.5": 0.592812,
    "multinormal-dense-25-25-0.5": 1.292184,
    "multinormal-dense-50-50-0.5": 1.624265,
    "multinormal-sparse-2-2-2-2.0": 1.021651,
    "multinormal-sparse-3-3-2-2.0": 1.021651,
    "multinormal-sparse-5-5-2-2.0": 1.021651,
    "multinormal-sparse-25-25-2-2.0": 1.021651,
    "student-identity-2-2-1": 0.431946,
    "student-identity-2-2-2": 0.193147,
    "student-identity-3-3-2": 0.290922,
    "student-identity-3-3-3": 0.178712,
    "student-identity-5-5-2": 0.448151,
    "student-identity-5-5-3": 0.298544,
    "normal_cdf-multinormal-sparse-3-3-2-2.0": 1.021651,
    "normal_cdf-multinormal-sparse-5-5-2-2.0": 1.021651,
    "normal_cdf-multinormal-sparse-25-25-2-2.0": 1.021651,
    "half_cube-multinormal-sparse-3-3-2-2.0": 1.021651,
    "half_cube-multinormal-sparse-5-5-2-2.0": 1.021651,
    "half_cube-multinormal-sparse-25-25-2-2.0": 1.021651,
    "spiral-multinormal-sparse-3-3-2-2.0": 1.021651,
    "spiral-multinormal-sparse-5-5-2-2.0": 1.021651,
    "spiral-multinormal-sparse-25-25-2-2.0": 1.021651,
    "spiral-normal_cdf-multinormal-sparse-3-3-2-2.0": 1.021651,
    "spiral-normal_cdf-multinormal-sparse-5-5-2-2.0": 1.021651,
    "spiral-normal_cdf-multinormal-sparse-25-25-2-2.0": 1.021651,
    "asinh-student-identity-2-2-1": 0.431946,
    "asinh-student-identity-3-3-2": 0.290922,
    "asinh-student-identity-5-5-2": 0.448151,
}

# Published approximations, each a mean of 100,000 log density ratios: their standard error is up
# to 0.0037, so the tolerance is 0.004. `test_mixture_laws.py` holds the values to more.
MIXTURES = {
    "1v1-X-0.9": 0.409,
    "1v1-AI": 0.778,
    "2v1-waves-12-5.0-3.0": 1.308,
    "2v1-galaxy-0.5-3.0": 0.493,
    "3v1-concentric_gaussians-5": 0.456,
    "5v1-concentric_gaussians-5": 0.626,
    "25v1-concentric_gaussians-5": 1.190,
    "mult-sparse-w-inliers-5-5-2-2.0-0.2": 0.633,
    "mult-sparse-w-inliers-25-25-2-2.0-0.2": 0.634,
    "mult-sparse-w-inliers-5-5-2-2.0-0.5": 0.268,
}

STAIRCASE = {
    f"staircase-{law}-20-{mi}": mi
    for law in ("normal", "cubic", "half_cube_rotated")
    for mi in (2, 4, 6, 8, 10)
}

TASKS = {task.name: task for name in ("core", "mixtures", "staircase") for task in suite(name)}
each_task = pytest.mark.parametrize("name", TASKS)


def widths(name):
    """Return the columns of X and Y that a name promises."""
    if name.startswith("swissroll_x"):
        return 2, 1
    if name.startswith("staircase"):
        return 20, 20
    for part in name.split("-"):
        if "v1" in part:
            return int(part.removesuffix("v1")), 1
    first, second = [int(part) for part in name.split("-") if part.isdigit()][:2]
    return first, second


def test_core_has_the_forty_names_in_order():
    assert [task.name for task in suite("core")] == list(CORE)
    assert len(CORE) == 40


def test_mixtures_has_the_ten_names_in_order():
    assert [task.name for task in suite("mixtures")] == list(MIXTURES)
    assert len(MIXTURES) == 10


def test_staircase_has_five_steps_of_three_laws_in_order():
    assert [(task.name, task.mi) for task in suite("staircase")] == list(STAIRCASE.items())
    assert len(STAIRCASE) == 15
    assert all(task.mi_error == 0.0 for task in suite("staircase"))


@pytest.mark.parametrize(("name", "mi"), CORE.items())
def test_core_has_the_published_values(name, mi):
    assert TASKS[name].mi == pytest.approx(mi, abs=1e-6)
    assert TASKS[name].mi_error == 0.0


@pytest.mark.parametrize(("name", "mi"), MIXTURES.items())
def test_mixtures_have_about_the_published_values(name, mi):
    assert TASKS[name].mi == pytest.approx(mi, abs=4e-3)
    assert TASKS[name].mi_error == 1e-9


@each_task
def test_value_of_the_task_is_that_of_its_sampler(name):
    task = TASKS[name]
    assert task.law(1, random_state=0).mi == pytest.approx(task.mi, abs=task.mi_error)


@each_task
def test_samples_have_the_promised_shape_and_repeat_themselves(name):
    task = TASKS[name]
    x, y = task.sample(50, 3)
    dim_x, dim_y = widths(name)
    assert x.shape == (50, dim_x)
    assert y.shape == (50, dim_y)
    assert x.dtype == y.dtype == np.float64
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    again_x, again_y = task.sample(n=50, random_state=3)
    assert np.array_equal(x, again_x)
    assert np.array_equal(y, again_y)
    assert not np.array_equal(x, task.sample(50, 4)[0])
    assert not np.array_equal(task.sample(50)[0], task.sample(50)[0])


@each_task
def test_one_sample_is_enough(name):
    x, y = TASKS[name].sample(1, random_state=0)
    assert len(x) == len(y) == 1


@each_task
@pytest.mark.parametrize("n", [0, -3])
def test_no_samples_are_refused(name, n):
    with pytest.raises(ValueError, match=f"n must be an integer of at least 1, got {n}"):
        TASKS[name].sample(n)


def test_tasks_can_be_sent_to_other_processes():
    for task in TASKS.values():
        copy = pickle.loads(pickle.dumps(task))
        assert copy.name == task.name
        assert np.array_equal(copy.sample(5, 0)[0], task.sample(5, 0)[0])


def test_a_task_shows_its_name_and_value_only():
    assert repr(TASKS["1v1-X-0.9"]) == "Task(name='1v1-X-0.9', mi=0.40844255, mi_error=1e-09)"


@pytest.mark.parametrize("name", ["Core", "", None, "staircases"])
def test_unknown_suites_are_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"one of \['core', 'mixtures', 'staircase'\], got"):
        suite(name)


def test_suites_are_instantaneous():
    start = time.perf_counter()
    suite("core")
    suite("mixtures")
    suite("staircase")
    assert time.perf_counter() - start < 0.5


def test_suites_are_lists_of_their_own():
    suite("core").clear()
    assert len(suite("core")) == 40


def test_global_random_state_is_neither_read_nor_moved():
    before = np.random.get_state()  # noqa: NPY002
    for task in TASKS.values():
        task.sample(20, 0)
        task.sample(20)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def base_of(name):
    """Return base samples of a core task, and the samples of the task, from the same seed."""
    task = TASKS[name]
    return task.law(2000, random_state=0)[:2], task.sample(2000, random_state=0)


@pytest.mark.parametrize("d", [3, 5, 25])
def test_spiral_tasks_keep_norms_and_turn_other_axes_on_each_side(d):
    (x, y), (turned_x, turned_y) = base_of(f"spiral-multinormal-sparse-{d}-{d}-2-2.0")
    for values, turned, still in ((x, turned_x, [2]), (y, turned_y, [0])):
        still = still + list(range(3, d))
        assert np.allclose((values**2).sum(axis=1), (turned**2).sum(axis=1), rtol=1e-12)
        assert np.array_equal(values[:, still], turned[:, still])
        moved = [axis for axis in range(d) if axis not in still]
        assert np.abs(values[:, moved] - turned[:, moved]).mean() > 0.1


def test_maps_on_both_sides_differ_where_the_suite_says_so():
    (x, y), (bumps_x, bumps_y) = base_of("1v1-bimodal-0.75")
    assert bumps_x.mean() == pytest.approx(0.7 * 5.0, abs=0.2)
    assert bumps_y.mean() == pytest.approx(1.0, abs=0.2)
    (x, y), (waves_x, waves_y) = base_of("wiggly-1v1-normal-0.75")
    offset_x = 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1.0) + 0.03 * np.sin(3.3 * x - 2.5)
    offset_y = -0.4 * np.sin(0.4 * y) + 0.17 * np.sin(1.3 * y + 3.5) + 0.02 * np.sin(4.3 * y - 2.5)
    assert np.allclose(waves_x, x + offset_x, atol=1e-14)
    assert np.allclose(waves_y, y + offset_y, atol=1e-14)


def test_swissroll_task_rolls_x_and_leaves_y_uniform():
    (x, y), (rolled, uniform) = base_of("swissroll_x-normal_cdf-1v1-normal-0.75")
    radius = 21.0 * np.hypot(*rolled.T)
    assert radius.min() > 1.5 * np.pi
    assert radius.max() < 4.5 * np.pi
    # The radius is uniform, as x was, and in the same order.
    assert np.array_equal(np.argsort(radius), np.argsort(x[:, 0]))
    assert radius.mean() == pytest.approx(3.0 * np.pi, abs=0.3)
    assert np.array_equal(np.argsort(uniform[:, 0]), np.argsort(y[:, 0]))
    assert uniform.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("mi", [2, 10])
def test_staircase_laws_are_one_normal_law_behind_invertible_maps(mi):
    """The sample of a seed, mapped back, is the normal one, and that has the information."""
    x, y = TASKS[f"staircase-normal-20-{mi}"].sample(2000, random_state=0)
    correlation = np.sqrt(-np.expm1(-2.0 * mi / 20))
    assert (x * y).mean() == pytest.approx(correlation, abs=4.0 * np.sqrt(2.0 / 40_000))
    assert -10.0 * np.log1p(-(correlation**2)) == pytest.approx(mi)
    same_x, cubes = TASKS[f"staircase-cubic-20-{mi}"].sample(2000, random_state=0)
    assert np.array_equal(same_x, x)
    assert np.allclose(np.cbrt(cubes), y, atol=1e-12)
    stretched, turned = TASKS[f"staircase-half_cube_rotated-20-{mi}"].sample(2000, random_state=0)
    rotation = rotate(np.eye(20))
    for values, normal in ((stretched, x), (turned @ rotation.T, y)):
        assert np.allclose(np.sign(values) * np.abs(values) ** (2.0 / 3.0), normal, atol=1e-9)


def test_rotated_columns_of_the_staircase_mix_all_columns():
    task = TASKS["staircase-half_cube_rotated-20-10"]
    x, y = task.sample(5000, random_state=1)
    # Of single columns no correlation is left as large as that before the rotation, .795.
    between = np.corrcoef(x, y, rowvar=False)[:20, 20:]
    assert np.abs(between).max() < 0.6
    assert (np.abs(between) > 0.1).mean() > 0.3


def test_public_samplers_take_the_number_of_samples_and_keywords_only():
    import infoest.datasets as room

    laws = {law.law.func if hasattr(law.law, "func") else law.law for law in TASKS.values()}
    laws |= {room.gamma_exponential, room.correlated_uniform, room.discrete_table}
    laws |= {room.ar1_pair, room.var_process, room.joint_normal}
    for law in laws:
        first, *others = inspect.signature(law).parameters.values()
        assert first.name == "n"
        assert all(other.kind is inspect.Parameter.KEYWORD_ONLY for other in others)
        assert others[-1].name == "random_state"
        assert getattr(room, law.__name__) is law
