"""Entropies and divergences of probabilities that a network gives. Torch, differentiable."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from infoest._validation import check_bool
from infoest.kernels._samples import result_dtype

from ._scores import check_finite, check_floating, may_read


def code_information(p: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return what soft codes say about labels, and what they say about each other, in nats.

    information = sum_i I(Z_i; Y) with I(Z_i; Y) = H(mean_n p_n,i) - sum_y P(y) H(mean_(n in y)
    p_n,i), or sum_i I(Z_i; X) = sum_i [H(mean_n p_n,i) - mean_n H(p_n,i)] without labels;
    redundancy = sum_(i < j) I(Z_i; Z_j), where codes are independent given the input: their joint
    law is mean_n p_n,i(a) p_n,j(b). Sums over rows are plug-in estimates of one batch.

    Args:
        p: Probabilities of every symbol of every code, shape (n, codes, symbols), floating point;
            sums over symbols are 1.
        labels: Classes, integers of at least 0, shape (n,), on the device of ``p``; None takes
            every row as an input of its own.

    Returns:
        information and redundancy, scalar tensors in the dtype of p, at least float32, not
        negative but for rounding; information is at most codes times log of min(symbols, classes).
        Differentiable in p. A probability of exactly 0 has gradient 0 in p log p, not infinity.

    Raises:
        TypeError: If p is not a floating-point tensor or labels are not integers.
        ValueError: If shapes or devices do not fit, labels are negative or p holds no probabilities
            (values are looked at on CPU tensors only).

    Note:
        A sum over codes counts what two codes share twice: it is not the information of all codes
        together. Plug-in values are biased upwards by about (symbols - 1)(classes - 1) / (2 n) per
        code where p is nearly hard.

    References:
        Lee, Kim, Park, Choi (2022), Entropy 24, arXiv 1905.11656 (labels, redundancy).

    Example:
        >>> import torch
        >>> labels = torch.tensor([0, 0, 1, 1])
        >>> p = torch.eye(2, dtype=torch.float64)[labels][:, None].repeat(1, 2, 1)  # one code twice
        >>> code_information(p, labels)  # 2 log 2 and log 2
        (tensor(1.3863, dtype=torch.float64), tensor(0.6931, dtype=torch.float64))
    """
    check_floating("p", p)
    if p.ndim != 3 or not p.numel():
        raise ValueError(
            f"p must have shape (n, codes, symbols), none of them 0, got {tuple(p.shape)}. "
            "Give one code as p[:, None]."
        )
    check_probabilities("p", p)
    dtype, p = result_dtype(p, p), p.double()
    n_rows, n_codes, n_symbols = p.shape
    marginal = _entropy(p.mean(dim=0))
    if labels is None:
        conditional = _entropy(p).mean(dim=0)
    else:
        numbers = _group_numbers("labels", labels, p)
        counts = _group_sums(p.new_ones(n_rows), numbers)
        means = _group_sums(p, numbers) / counts.clamp(min=1.0)[:, None, None]
        conditional = (counts / n_rows) @ _entropy(means)
    flat = p.flatten(start_dim=1)
    joint = (flat.T @ flat / n_rows).reshape(n_codes, n_symbols, n_codes, n_symbols)
    pairs = _entropy(joint.transpose(1, 2).flatten(start_dim=2))
    redundancy = (marginal[:, None] + marginal - pairs).triu(diagonal=1).sum()
    return (marginal - conditional).sum().to(dtype), redundancy.to(dtype)


def integrated_kl(p: Tensor, log_q: Tensor) -> Tensor:
    """Return the mean over rows of KL(p_i || q_i), in nats.

    mean_i sum_j p_ij (log p_ij - log q_ij): the one loss of Information Contrastive learning, where
    row i holds the probabilities that j is a neighbor of i.

    Args:
        p: Probabilities, shape (n, m), floating point; rows sum to 1, zeros are allowed.
        log_q: Log of the probabilities that are fitted, shape (n, m), on the device of ``p``; -inf
            where p is 0 is allowed. Where p is zero outside m columns per row, these columns are
            enough: rows of exp(log_q) may sum to less than 1.

    Returns:
        Scalar tensor in the wider dtype of p and log_q, at least float32, not negative where rows
        of exp(log_q) sum to at most 1. Differentiable in both; an entry p = 0 has gradient 0.

    Raises:
        TypeError: If p or log_q is not a floating-point tensor.
        ValueError: If shapes or devices do not fit, p holds no probabilities, or log_q is NaN, inf,
            or -inf where p is positive (values are looked at on CPU tensors only).

    References:
        Alshammari et al. (2025), I-Con, ICLR, arXiv 2504.16929, eq. 1 (a sum over i there).

    Example:
        >>> import torch
        >>> p = torch.tensor([[1.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
        >>> integrated_kl(p, torch.full((2, 2), 0.5, dtype=torch.float64).log())  # log(2) / 2
        tensor(0.3466, dtype=torch.float64)
    """
    check_floating("p", p)
    check_floating("log_q", log_q)
    if p.ndim != 2 or not p.numel():
        raise ValueError(f"p must have shape (n, m), none of them 0, got {tuple(p.shape)}.")
    if log_q.shape != p.shape or log_q.device != p.device:
        raise ValueError(
            f"log_q must have shape {tuple(p.shape)} on {p.device} like p, "
            f"got {tuple(log_q.shape)} on {log_q.device}."
        )
    check_probabilities("p", p)
    zero = p <= 0.0
    # Where p is 0 nothing of log_q is read, and log_q is not moved there.
    log_q = log_q.masked_fill(zero, 0.0)
    check_finite("log_q where p is positive", log_q)
    dtype = result_dtype(p, log_q)
    p, log_q = p.double(), log_q.double()
    log_p = p.masked_fill(zero, 1.0).log()
    return ((p * (log_p - log_q)).sum() / len(p)).to(dtype)


def functional_entropy(
    h: Tensor, weights: Tensor | None = None, groups: Tensor | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """Return the functional entropy of a positive function, or its two parts by groups.

    Ent(h) = E[h log h] - E[h] log E[h] = E[h] KL(q || mu) with q proportional to h mu; 0 where h is
    constant. With groups G, Ent(h) = Ent(E[h | G]) + E[Ent(h | G)]: between and within.

    Args:
        h: Values of the function, not negative, shape (n,), floating point.
        weights: Weights of the measure mu, not negative, shape (n,); normalized here. None gives
            every value the weight 1/n.
        groups: Integers of at least 0 that number the group of every value, shape (n,), on the
            device of ``h``.

    Returns:
        Scalar tensor, or with groups the pair (between, within), in the unit of h times nats; in
        the dtype of h, at least float32; not negative. Differentiable in h and weights; a value of
        exactly 0 has gradient 0 where the limit is -inf.

    Raises:
        TypeError: If h or weights is not a floating-point tensor or groups are not integers.
        ValueError: If shapes or devices do not fit, or h, weights or groups are negative, or all
            weights are 0 (values are looked at on CPU tensors only).

    Note:
        Not the Shannon entropy of h: it scales with h and grows with its spread.

    References:
        Gross (1975), Amer. J. Math. 97, 1061. Lorberbom, Gat, Adi, Schwing, Hazan (2024), AAAI,
        Layer collaboration in the forward-forward algorithm.

    Example:
        >>> import torch
        >>> h = torch.tensor([0.0, 2.0], dtype=torch.float64)
        >>> functional_entropy(h)  # log 2
        tensor(0.6931, dtype=torch.float64)
        >>> functional_entropy(h, groups=torch.tensor([0, 1]))  # all of it between groups
        (tensor(0.6931, dtype=torch.float64), tensor(0., dtype=torch.float64))
    """
    _check_measure("h", h, h)
    dtype, values = result_dtype(h, h), h.double()
    mass = torch.ones_like(values)
    if weights is not None:
        _check_measure("weights", weights, h)
        if may_read(weights) and not bool(weights.detach().any()):
            raise ValueError("weights must not all be 0, got a sum of 0.")
        # The largest weight is taken out first: sums of 1e308 overflow.
        mass = weights.double() / weights.detach().double().amax()
    mass = mass / mass.sum()
    mean = (mass * values).sum()
    if groups is None:
        return _excess(values, mass, mean.expand_as(values)).to(dtype)
    numbers = _group_numbers("groups", groups, h)
    group_mass = _group_sums(mass, numbers)
    means = _group_sums(mass * values, numbers) / group_mass.masked_fill(group_mass <= 0.0, 1.0)
    between = _excess(means, group_mass, mean.expand_as(means))
    return between.to(dtype), _excess(values, mass, means[numbers]).to(dtype)


def bernoulli_entropy_change(z: Tensor, riemann: bool = False) -> Tensor:
    """Return how the entropy of Bernoulli units changes from the first step to the last, in nats.

    sum over batch and units of H(D_K) - H(D_0) with D = sigmoid(z) and H(D) = -D log D
    - (1 - D) log(1 - D), which is -sum of the integral of z dD over the steps.

    Args:
        z: Logits, shape (steps, batch, units), floating point, at least 2 steps.
        riemann: Instead of the integral return its right sum as published,
            -sum_k z_k (D_k - D_(k-1)), which tends to it as steps become small.

    Returns:
        Scalar tensor in the dtype of z, at least float32, of either sign. Differentiable in z.

    Raises:
        TypeError: If z is not a floating-point tensor or riemann not a bool.
        ValueError: If z has not three axes, has fewer than 2 steps or is not finite (looked for on
            CPU tensors only).

    Note:
        Not the entropy of a random variable: only the first and the last step matter to the exact
        value. The publication divides by log 2 (bits).

    References:
        Mahi (2025), Structured knowledge accumulation, arXiv 2503.13942 (the right sum).

    Example:
        >>> import torch
        >>> z = torch.tensor([0.0, 30.0], dtype=torch.float64)[:, None, None]
        >>> bernoulli_entropy_change(z)  # from log 2 to nearly 0
        tensor(-0.6931, dtype=torch.float64)
    """
    check_bool("riemann", riemann)
    check_floating("z", z)
    if z.ndim != 3 or not z.numel() or len(z) < 2:
        raise ValueError(
            f"z must have shape (steps, batch, units) with at least 2 steps, got {tuple(z.shape)}."
        )
    check_finite("z", z)
    dtype, z = result_dtype(z, z), z.double()
    if riemann:
        return -(z[1:] * z.sigmoid().diff(dim=0)).sum().to(dtype)
    return (_bernoulli_entropy(z[-1]) - _bernoulli_entropy(z[0])).sum().to(dtype)


def check_probabilities(name: str, p: Tensor) -> None:
    """Raise unless the last axis of a CPU tensor holds probabilities."""
    if not may_read(p):
        return
    check_finite(name, p)
    values = p.detach()
    lowest = float(values.amin())
    if lowest < 0.0:
        raise ValueError(
            f"{name} must not be negative, got {lowest:g}. Pass a softmax, not logits."
        )
    # What rounding of a softmax in the given dtype can leave.
    sums = values.double().sum(dim=-1)
    worst = float(sums.flatten()[(sums - 1.0).abs().argmax()])
    if abs(worst - 1.0) > torch.finfo(p.dtype).eps ** 0.5:
        raise ValueError(
            f"{name} must sum to 1 over its last axis, got a sum of {worst:g}. "
            "Pass a softmax, not logits."
        )


def _check_measure(name: str, values: Tensor, h: Tensor) -> None:
    """Raise unless the values are one number per value of h, and not negative."""
    check_floating(name, values)
    if values.ndim != 1 or not len(values) or values.shape != h.shape or values.device != h.device:
        raise ValueError(
            f"{name} must have shape (n,), n at least 1, the same for h and its weights, on one "
            f"device, got {tuple(values.shape)} on {values.device}."
        )
    check_finite(name, values)
    if may_read(values) and float(values.detach().amin()) < 0.0:
        raise ValueError(f"{name} must not be negative, got {float(values.detach().amin()):g}.")


def _group_numbers(name: str, labels: Tensor, rows: Tensor) -> Tensor:
    """Return a number in [0, n) for every distinct label, without waiting for the device."""
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.is_complex():
        shown = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"{name} must be an integer tensor, got {shown}.")
    if labels.shape != rows.shape[:1] or labels.device != rows.device:
        raise ValueError(
            f"{name} must have shape ({len(rows)},) on {rows.device}, one label per row, "
            f"got {tuple(labels.shape)} on {labels.device}."
        )
    labels = labels.long()
    if may_read(labels) and int(labels.amin()) < 0:
        raise ValueError(
            f"{name} must be at least 0, got {int(labels.amin())}. Leave rows without a label out."
        )
    return torch.searchsorted(labels.sort().values, labels)


def _group_sums(values: Tensor, numbers: Tensor) -> Tensor:
    return torch.zeros_like(values).index_add(0, numbers, values)


def _entropy(p: Tensor) -> Tensor:
    """Return -sum p log p over the last axis."""
    # Not entr: its derivative is infinite at 0, and infinity times a softmax of 0 is NaN.
    return -(p * p.masked_fill(p <= 0.0, 1.0).log()).sum(dim=-1)


def _excess(values: Tensor, mass: Tensor, means: Tensor) -> Tensor:
    """Return sum mass (h log(h / mean) - h + mean), where every term is at least 0."""
    zero = (values <= 0.0) | (means <= 0.0)
    log_ratios = values.masked_fill(zero, 1.0).log() - means.masked_fill(zero, 1.0).log()
    terms = values * log_ratios.masked_fill(zero, 0.0) - values + means
    return (mass * terms).sum()


def _bernoulli_entropy(z: Tensor) -> Tensor:
    return -z.sigmoid() * logsigmoid(z) - (-z).sigmoid() * logsigmoid(-z)
