import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from infoest.functional import (
    bernoulli_entropy_change,
    code_information,
    functional_entropy,
    integrated_kl,
)


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def entropy(p):
    p = np.asarray(p).ravel()
    return -sum(v * math.log(v) for v in p if v > 0.0)


def table_mi(table):
    return entropy(table.sum(0)) + entropy(table.sum(1)) - entropy(table)


# ------------------------------------------------------------------------------ code_information


def naive_codes(p, labels):
    p, labels = p.numpy(), np.arange(len(p)) if labels is None else labels.numpy()
    n, codes, symbols = p.shape
    information = redundancy = 0.0
    for i in range(codes):
        table = np.zeros((symbols, labels.max() + 1))
        for row in range(n):
            table[:, labels[row]] += p[row, i] / n
        information += table_mi(table)
        for j in range(i + 1, codes):
            redundancy += table_mi(sum(np.outer(p[r, i], p[r, j]) for r in range(n)) / n)
    return information, redundancy


@pytest.mark.parametrize("with_labels", [True, False])
@pytest.mark.parametrize(("codes", "symbols"), [(1, 4), (3, 2), (4, 5)])
def test_codes_equal_the_formula(codes, symbols, with_labels):
    p = (2.0 * normal(17, codes, symbols)).softmax(dim=2)
    labels = torch.arange(17) % 3 * 5 if with_labels else None  # gaps between labels
    found = [v.item() for v in code_information(p, labels)]
    assert found == pytest.approx(naive_codes(p, labels), abs=1e-12)


def test_one_hard_code_with_a_symbol_per_class_says_all_of_the_label():
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    information, redundancy = code_information(torch.eye(3).double()[labels][:, None], labels)
    assert information.item() == pytest.approx(entropy([1 / 2, 1 / 6, 1 / 3]), abs=1e-14)
    assert redundancy.item() == 0.0


def test_without_labels_every_row_is_a_label():
    p = normal(9, 2, 3).softmax(dim=2)
    torch.testing.assert_close(code_information(p), code_information(p, torch.arange(9)))


def test_codes_do_not_depend_on_the_order_of_rows_or_the_names_of_labels():
    p, labels = normal(12, 3, 4).softmax(dim=2), torch.arange(12) % 4
    order = torch.from_numpy(np.random.default_rng(1).permutation(12))
    renamed = torch.tensor([7, 0, 100, 3])[labels]
    torch.testing.assert_close(
        code_information(p[order], renamed[order]), code_information(p, labels)
    )
    torch.testing.assert_close(code_information(p.flip(1), labels), code_information(p, labels))


@torch.random.fork_rng(devices=[])  # gradient checks draw numbers
def test_codes_have_gradients_also_at_zeros():
    logits, labels = normal(6, 2, 3).requires_grad_(), torch.tensor([0, 1, 1, 2, 0, 1])
    assert gradcheck(lambda z: code_information(z.softmax(2), labels), logits)
    assert gradgradcheck(lambda z: code_information(z.softmax(2)), logits)
    hard = (1e4 * normal(6, 2, 3)).requires_grad_()
    sum(code_information(hard.softmax(2), labels)).backward()
    assert hard.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_codes_take_lower_precisions(dtype):
    p = normal(64, 3, 100).softmax(dim=2)
    found = code_information(p.to(dtype))
    assert {v.dtype for v in found} == {torch.float32}
    # Rounding to bfloat16 moves entropies near log 100 by a share of 2^-8.
    torch.testing.assert_close(
        [v.double() for v in found], list(code_information(p)), rtol=0.1, atol=0.05
    )


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda p, y: (p[:, 0], y), ValueError, r"^p must have shape \(n, codes, symbols\).*p\[:,"),
        (lambda p, y: (p[:0], y[:0]), ValueError, r"^p must have shape"),
        (lambda p, y: (p.log(), y), ValueError, r"^p must not be negative, got -.*softmax"),
        (lambda p, y: (2.0 * p, y), ValueError, r"^p must sum to 1 over its last axis, got.* 2\."),
        (lambda p, y: (p / 0.0, y), ValueError, r"^p must be finite"),
        (
            lambda p, y: (p.numpy(), y),
            TypeError,
            r"^p must be a floating-point tensor, got ndarray",
        ),
        (
            lambda p, y: (p, y.double()),
            TypeError,
            r"^labels must be an integer tensor, got torch.fl",
        ),
        (lambda p, y: (p, y.tolist()), TypeError, r"^labels must be an integer tensor, got list"),
        (lambda p, y: (p, y[:-1]), ValueError, r"^labels must have shape \(6,\) on cpu"),
        (lambda p, y: (p, y - 1), ValueError, r"^labels must be at least 0, got -1\. Leave rows"),
    ],
)
def test_refuses_codes(change, error, match):
    p, labels = normal(6, 2, 3).softmax(dim=2), torch.tensor([0, 1, 1, 2, 0, 1])
    with pytest.raises(error, match=match):
        code_information(*change(p, labels))


# --------------------------------------------------------------------------------- integrated_kl


def test_kl_equals_the_formula_and_the_cross_entropy_of_one_hot_rows():
    p, log_q = normal(5, 7).softmax(dim=1), normal(5, 7, seed=1).log_softmax(dim=1)
    expected = (p.numpy() * (np.log(p.numpy()) - log_q.numpy())).sum(1).mean()
    assert integrated_kl(p, log_q).item() == pytest.approx(expected, rel=1e-13)
    assert integrated_kl(p, p.log()).item() == pytest.approx(0.0, abs=1e-16)
    target = torch.tensor([3, 0, 6, 6, 1])
    one_hot = torch.nn.functional.one_hot(target, 7).double()
    cross_entropy = torch.nn.functional.cross_entropy(log_q, target)
    torch.testing.assert_close(integrated_kl(one_hot, log_q), cross_entropy)


def test_kl_reads_nothing_where_p_is_zero():
    p = torch.tensor([[0.0, 0.25, 0.75], [0.5, 0.0, 0.5]], dtype=torch.float64, requires_grad=True)
    log_q = normal(2, 3).log_softmax(dim=1)
    masked = log_q.masked_fill(p.detach() == 0.0, -torch.inf).requires_grad_()
    value = integrated_kl(p, masked)
    assert value.item() == integrated_kl(p, log_q).item()
    value.backward()
    assert p.grad.isfinite().all()
    torch.testing.assert_close(masked.grad, -p.detach() / 2.0)


@torch.random.fork_rng(devices=[])  # gradient checks draw numbers
def test_kl_has_gradients():
    a, b = normal(4, 3).requires_grad_(), normal(4, 3, seed=1).requires_grad_()

    def loss(a, b):
        return integrated_kl(a.softmax(1), b.log_softmax(1))

    assert gradcheck(loss, (a, b))
    assert gradgradcheck(loss, (a, b))


def test_refuses_kl():
    p, log_q = normal(5, 7).softmax(dim=1), normal(5, 7).log_softmax(dim=1)
    with pytest.raises(
        ValueError, match=r"^log_q must have shape \(5, 7\) on cpu like p, got \(7,"
    ):
        integrated_kl(p, log_q.T)
    with pytest.raises(ValueError, match=r"^log_q where p is positive must be finite, got 1 NaN"):
        integrated_kl(
            p, log_q.index_put((torch.tensor([0]), torch.tensor([2])), -log_q.new_tensor(math.inf))
        )
    with pytest.raises(ValueError, match=r"^p must not be negative"):
        integrated_kl(p.log(), log_q)
    with pytest.raises(ValueError, match=r"^p must have shape \(n, m\)"):
        integrated_kl(p[0], log_q[0])
    with pytest.raises(TypeError, match=r"^log_q must be a floating-point tensor"):
        integrated_kl(p, log_q.long())


# ---------------------------------------------------------------------------- functional_entropy


def naive_functional(h, mass):
    mean = sum(m * v for m, v in zip(mass, h, strict=True))
    first = sum(m * v * math.log(v) for m, v in zip(mass, h, strict=True) if v > 0.0)
    return first - (mean * math.log(mean) if mean > 0.0 else 0.0)


def test_functional_entropy_equals_the_formula():
    h, weights = normal(30).exp(), normal(30, seed=1).square()
    assert functional_entropy(h).item() == pytest.approx(
        naive_functional(h.tolist(), [1 / 30] * 30)
    )
    mass = (weights / weights.sum()).tolist()
    expected = naive_functional(h.tolist(), mass)
    assert functional_entropy(h, weights).item() == pytest.approx(expected, rel=1e-12)
    assert functional_entropy(3.0 * h, 7.0 * weights).item() == pytest.approx(3.0 * expected)


def test_functional_entropy_of_log_normal_values():
    # Ent(exp X) = s^2 / 2 exp(s^2 / 2) for X ~ N(0, s^2), by quadrature.
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    found = functional_entropy(torch.from_numpy(np.exp(0.7 * x)), torch.from_numpy(weights))
    assert found.item() == pytest.approx(0.245 * math.exp(0.245), rel=1e-12)


@pytest.mark.parametrize("with_weights", [True, False])
def test_functional_entropy_chain_rule(with_weights):
    h, groups = normal(30).square(), torch.arange(30) % 4 * 3
    weights = normal(30, seed=1).exp() if with_weights else None
    between, within = functional_entropy(h, weights, groups)
    whole = functional_entropy(h, weights).item()
    assert between.item() + within.item() == pytest.approx(whole, rel=1e-13)
    mass = (torch.ones(30) if weights is None else weights).double()
    mass = mass / mass.sum()
    shares = [mass[groups == g].sum().item() for g in range(0, 12, 3)]
    sums = [(mass * h)[groups == g].sum().item() for g in range(0, 12, 3)]
    means = [a / b for a, b in zip(sums, shares, strict=True)]
    assert between.item() == pytest.approx(naive_functional(means, shares), rel=1e-12)


def test_functional_entropy_is_zero_for_constants_and_keeps_small_digits():
    ones = torch.ones(10, dtype=torch.float64)
    assert functional_entropy(5.0 * ones).item() == pytest.approx(0.0, abs=1e-15)
    assert functional_entropy(0.0 * ones).item() == 0.0
    assert [v.item() for v in functional_entropy(0.0 * ones, groups=torch.arange(10))] == [0.0, 0.0]
    step = 1e-5 * torch.tensor([1.0, -1.0], dtype=torch.float64)
    assert functional_entropy(1.0 + step).item() == pytest.approx(0.5e-10, rel=1e-5)  # Var / 2
    assert functional_entropy(1e300 * (1.0 + normal(9).square())).isfinite()


def test_functional_entropy_skips_groups_without_weight():
    h = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    between, within = functional_entropy(h, weights, torch.tensor([0, 0, 1]))
    assert (between.item(), within.item()) == pytest.approx((0.0, functional_entropy(h[:2]).item()))
    within.backward()
    assert h.grad.isfinite().all()


@torch.random.fork_rng(devices=[])  # gradient checks draw numbers
def test_functional_entropy_has_gradients_also_at_zeros():
    h, weights = normal(7).exp().requires_grad_(), normal(7, seed=1).exp().requires_grad_()
    groups = torch.tensor([0, 1, 1, 0, 2, 2, 1])
    assert gradcheck(functional_entropy, (h, weights))
    assert gradgradcheck(functional_entropy, (h, weights))
    assert gradcheck(lambda h, w: functional_entropy(h, w, groups), (h, weights))
    mean = h.mean().item()
    functional_entropy(h).backward()
    torch.testing.assert_close(h.grad, (h.detach() / mean).log() / 7.0)
    units = torch.tensor([0.0, 0.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    functional_entropy(units.square()).backward()
    assert units.grad.isfinite().all()
    assert units.grad[:2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((normal(4),), ValueError, r"^h must not be negative, got -"),
        ((normal(4, 1).exp(),), ValueError, r"^h must have shape \(n,\).*got \(4, 1\)"),
        ((normal(4).exp() / 0.0,), ValueError, r"^h must be finite, got 4"),
        (
            (torch.ones(4).long(),),
            TypeError,
            r"^h must be a floating-point tensor, got torch.int64",
        ),
        ((normal(4).exp(), normal(3).exp()), ValueError, r"^weights must have shape \(n,\)"),
        ((normal(4).exp(), -normal(4).exp()), ValueError, r"^weights must not be negative"),
        ((normal(4).exp(), torch.zeros(4)), ValueError, r"^weights must not all be 0"),
        ((normal(4).exp(), None, torch.zeros(4)), TypeError, r"^groups must be an integer tensor"),
        ((normal(4).exp(), None, torch.arange(3)), ValueError, r"^groups must have shape \(4,\)"),
    ],
)
def test_refuses_functions(arguments, error, match):
    with pytest.raises(error, match=match):
        functional_entropy(*arguments)


# ---------------------------------------------------------------------- bernoulli_entropy_change


def binary(p):
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


def test_entropy_change_equals_both_formulas():
    z = 2.0 * normal(6, 5, 4)
    d = 1.0 / (1.0 + np.exp(-z.numpy()))
    exact = (binary(d[-1]) - binary(d[0])).sum()
    assert bernoulli_entropy_change(z).item() == pytest.approx(exact, rel=1e-12)
    right = -(z.numpy()[1:] * (d[1:] - d[:-1])).sum()
    assert bernoulli_entropy_change(z, riemann=True).item() == pytest.approx(right, rel=1e-12)


def test_right_sum_tends_to_the_exact_change():
    path = torch.linspace(-3.0, 1.0, 20001, dtype=torch.float64)[:, None, None]
    exact = bernoulli_entropy_change(path).item()
    assert bernoulli_entropy_change(path, riemann=True).item() == pytest.approx(exact, abs=2e-4)
    errors = [
        abs(bernoulli_entropy_change(path[::step], riemann=True).item() - exact)
        for step in (2000, 1000)
    ]
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)  # first order in the step


def test_entropy_change_adds_up_and_survives_saturation():
    z = normal(7, 3, 2)
    parts = bernoulli_entropy_change(z[:4]) + bernoulli_entropy_change(z[3:])
    assert bernoulli_entropy_change(z).item() == pytest.approx(parts.item(), rel=1e-12)
    ends = torch.tensor([[0.0, 0.0, 25.0, 0.0], [1e3, -1e300, -30.0, 0.0]], dtype=torch.float64)
    found = bernoulli_entropy_change(ends[:, None]).item()
    small = 31.0 * math.exp(-30.0) - 26.0 * math.exp(-25.0)
    assert found + 2.0 * math.log(2.0) == pytest.approx(small, rel=1e-4)


@torch.random.fork_rng(devices=[])  # gradient checks draw numbers
def test_entropy_change_has_gradients():
    z = normal(3, 2, 2).requires_grad_()
    for riemann in (False, True):
        assert gradcheck(lambda z, r=riemann: bernoulli_entropy_change(z, r), z)
        assert gradgradcheck(lambda z, r=riemann: bernoulli_entropy_change(z, r), z)


def test_refuses_steps():
    z = normal(3, 2, 2)
    with pytest.raises(
        ValueError, match=r"^z must have shape \(steps, batch, units\) .* \(1, 2, 2"
    ):
        bernoulli_entropy_change(z[:1])
    with pytest.raises(ValueError, match=r"^z must have shape \(steps, batch, units\) .* \(3, 2\)"):
        bernoulli_entropy_change(z[..., 0])
    with pytest.raises(ValueError, match=r"^z must be finite, got 12"):
        bernoulli_entropy_change(z * math.nan)
    with pytest.raises(TypeError, match=r"^riemann must be True or False, got 1"):
        bernoulli_entropy_change(z, 1)
    with pytest.raises(TypeError, match=r"^z must be a floating-point tensor, got torch.int64"):
        bernoulli_entropy_change(z.long())
