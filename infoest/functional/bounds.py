"""Bounds on mutual information and training objectives, functions of a score matrix. Torch.

``scores`` is a floating-point matrix (n, n), n >= 2, with ``scores[i, j] = f(x_i, y_j)``: the
diagonal scores the joint pairs, the n(n - 1) other entries score pairs of the product of the
marginals, over which all "off-diagonal" means run. The rows are independent draws of (X, Y); the
log density ratio is log r = log p(x, y) / (p(x) p(y)).

Every function returns a scalar tensor in the wider dtype of its arguments, at least float32,
computed in float64 (terms of the two logistic objectives: in the dtype of the scores, at least
float32) and in the log domain, differentiable in all of them, in nats. Lower bounds and
objectives are to be maximized, upper bounds minimized. A bound holds on average over samples and
for a critic that has not seen them; a single value can be on the wrong side.

All raise TypeError for scores that are not a floating-point tensor, and ValueError for a matrix
that is not square, has one row, or holds NaN or infinity (looked for on CPU tensors only, and not
while compiling: a check of values would stall a GPU at every training step).
"""

import math

import torch
from torch import Tensor

from infoest._validation import check_int, check_number

from ._scores import (
    checked_clip,
    checked_matrix,
    checked_rows,
    checked_scores,
    log_mean_exp,
    log_sums_without_each,
    logistic,
    mean_exp,
    mean_off_diagonal,
    off_diagonal,
    unnormalized,
)

# ------------------------------------------------------------------------------- lower bounds


def donsker_varadhan(scores: Tensor) -> Tensor:
    """Return the Donsker-Varadhan lower bound, mean_i s_ii - log mean_off exp(s_ij), in nats.

    Tight at log r plus any constant, which does not change the value.

    Args:
        scores: Score matrix, shape (n, n), see the module.

    Note:
        The logarithm of a mean over few pairs biases the value up where I is large beside log n,
        and its variance grows like exp(I). As a training objective its gradient is biased, too.

    References:
        Donsker, Varadhan (1983), Comm. Pure Appl. Math. 36, 183.
        Belghazi et al. (2018), ICML, section 3.

    Example:
        >>> import torch
        >>> donsker_varadhan(3.0 * torch.eye(4))
        tensor(3.)
    """
    scores, dtype = checked_scores(scores)
    return (scores.diagonal().mean() - log_mean_exp(scores)).to(dtype)


def nwj(scores: Tensor) -> Tensor:
    """Return the lower bound mean_i s_ii - mean_off exp(s_ij - 1) of f-GAN or MINE-f, in nats.

    Tight at 1 + log r only: a constant added to the scores changes the value.

    Args:
        scores: Score matrix, shape (n, n), see the module.

    Note:
        Unbiased, with a variance that grows like exp(I). An off-diagonal score above 709
        makes it -inf (above 88 for float32 scores, whose results cannot hold more): the number
        is right, and `donsker_varadhan` of the same scores is finite.

    References:
        Nguyen, Wainwright, Jordan (2010), IEEE Trans. Inf. Theory 56, 5847.
        Poole et al. (2019), ICML, section 2.2.

    Example:
        >>> import torch
        >>> nwj(torch.ones(4, 4))  # f = 1: log r = 0
        tensor(0.)
    """
    scores, dtype = checked_scores(scores)
    return unnormalized(scores - 1.0).to(dtype)


def tuba(scores: Tensor, log_baseline: Tensor) -> Tensor:
    """Return the lower bound 1 + mean_i (s_ii - a_i) - mean_off exp(s_ij - a_i), in nats.

    Tight at s_ij - a_i = log r: the baseline a(x_i) takes up any function of x in the scores. A
    baseline of 1 gives `nwj`.

    Args:
        scores: Score matrix, shape (n, n), see the module.
        log_baseline: Log of the baseline a of every row, shape (n,), finite.

    Note:
        Unbiased if the baseline has not seen the sample; the variance grows like exp(I).

    References:
        Poole et al. (2019), ICML, section 2.2, with the roles of x and y exchanged.

    Example:
        >>> import torch
        >>> tuba(torch.full((4, 4), 7.0), torch.full((4,), 7.0))
        tensor(0.)
    """
    scores, dtype = checked_scores(scores)
    baseline = checked_rows("log_baseline", log_baseline, scores)
    dtype = torch.promote_types(dtype, log_baseline.dtype)
    return unnormalized(scores - baseline[:, None]).to(dtype)


def infonce(scores: Tensor) -> Tensor:
    """Return the contrastive lower bound log n + mean_i (s_ii - logsumexp_j s_ij), in nats.

    The sum runs over the whole row, the joint pair included. Tight, as n grows, at log r plus any
    function of x.

    Args:
        scores: Score matrix, shape (n, n), see the module.

    Note:
        Never above log n, however large the information: values within a nat of log n say little.
        Of low variance.

    References:
        van den Oord, Li, Vinyals (2018), arXiv 1807.03748, eq. 4.
        Poole et al. (2019), ICML, section 2.3.

    Example:
        >>> import torch
        >>> round(infonce(50.0 * torch.eye(4)).item(), 4)  # log 4
        1.3863
    """
    scores, dtype = checked_scores(scores)
    # log softmax is never positive: the value cannot pass log n by rounding.
    return (math.log(len(scores)) + scores.log_softmax(dim=1).diagonal().mean()).to(dtype)


def interpolated(scores: Tensor, log_baseline: Tensor | None = None, *, alpha: float) -> Tensor:
    """Return the lower bound I_alpha between `tuba` (alpha = 0) and InfoNCE (alpha = 1), in nats.

    1 + mean_{i, j != i} (s_ii - log b_ij) - mean_{i, j != i} exp(s_ij) / b_ii, where
    b_ij = alpha m_ij + (1 - alpha) exp(a_i) and m_ij is the mean of exp(s_ik) over the n - 1
    columns k other than j: the contrast is with n - 1 samples, one of them the joint pair in the
    first mean and none in the second, averaged over all that the matrix offers. Tight at
    s_ij - a_i = log r for alpha = 0, and as n grows for any alpha.

    Args:
        scores: Score matrix, shape (n, n), see the module.
        log_baseline: Log of the baseline a of every row, shape (n,), finite; None is 0, for
            scores that are log r.
        alpha: Share of the contrastive baseline, in [0, 1]. More of it trades variance for bias.

    Note:
        Never above 1 + log((n - 1) / alpha), log(n - 1) for alpha = 1; the variance falls as alpha
        grows.

    References:
        Poole et al. (2019), ICML, section 2.4, with the roles of x and y exchanged and K = n - 1.

    Example:
        >>> import torch
        >>> interpolated(torch.zeros(4, 4), alpha=0.5)
        tensor(0.)
    """
    scores, dtype = checked_scores(scores)
    check_number("alpha", alpha, low=0.0, high=1.0)
    if log_baseline is None:
        baseline = scores.new_zeros(len(scores))
    else:
        baseline = checked_rows("log_baseline", log_baseline, scores)
        dtype = torch.promote_types(dtype, log_baseline.dtype)
    mixed = baseline[:, None].expand_as(scores)
    if alpha > 0.0:
        contrast = log_sums_without_each(scores) - math.log(len(scores) - 1)
        # alpha = 1 apart: log(1 - alpha) is -inf, and logaddexp of it has no second derivative.
        mixed = (
            contrast
            if alpha == 1.0
            else torch.logaddexp(math.log(alpha) + contrast, math.log1p(-alpha) + mixed)
        )
    joint = mean_off_diagonal(scores.diagonal()[:, None] - mixed)
    return (1.0 + joint - mean_exp(scores - mixed.diagonal()[:, None])).to(dtype)


def flo(scores: Tensor, dual: Tensor | None = None) -> Tensor:
    """Return the Fenchel-Legendre lower bound 1 - mean_i [u_i + exp(-u_i) m_i], in nats.

    m_i is the mean of exp(s_ij - s_ii) over the n - 1 columns j other than i. Tight at log r plus
    any function of x, with u_i = -log r(x_i, y_i), the best u for such scores.

    Args:
        scores: Score matrix, shape (n, n), see the module.
        dual: u of the joint pairs, a second critic's diagonal, shape (n,), finite. None is -s_ii:
            one critic, that learns log r itself, and the value of `tuba` with a baseline of 0.

    Note:
        Unbiased if u has not seen the sample; with the best u of these very scores, log m_i, it
        would be no bound.

    References:
        Guo, Chen, Wang, Yang, Deng, Carin, Li, Tao (2022), NeurIPS, arXiv 2107.01131.

    Example:
        >>> import torch
        >>> flo(torch.full((4, 4), 7.0), torch.zeros(4))
        tensor(0.)
    """
    scores, dtype = checked_scores(scores)
    if dual is None:
        return unnormalized(scores).to(dtype)
    u = checked_rows("dual", dual, scores)
    dtype = torch.promote_types(dtype, dual.dtype)
    return (1.0 - u.mean() - mean_exp(scores - (scores.diagonal() + u)[:, None])).to(dtype)


# ---------------------------------------------------------------------------------- objectives


def jensen_shannon(scores: Tensor) -> Tensor:
    """Return the Jensen-Shannon objective, -mean_i softplus(-s_ii) - mean_off softplus(s_ij).

    Its maximum is at log r exactly, where it is 2 JS(joint, product) - 2 log 2; always negative.

    Args:
        scores: Score matrix, shape (n, n), see the module.

    Note:
        For training: not mutual information and no bound on it. Read trained scores by `smile`,
        `donsker_varadhan` or the mean of the diagonal. `noise_contrastive` with one negative.

    References:
        Nowozin, Cseke, Tomioka (2016), NeurIPS. Hjelm et al. (2019), ICLR, eq. 4.

    Example:
        >>> import torch
        >>> round(jensen_shannon(torch.zeros(4, 4)).item(), 4)  # -2 log 2
        -1.3863
    """
    scores, dtype = checked_matrix(scores)
    return logistic(scores, 1).to(dtype)


def noise_contrastive(scores: Tensor, negatives: int = 64) -> Tensor:
    """Return the objective -mean_i softplus(log k - s_ii) - k mean_off softplus(s_ij - log k).

    The log likelihood of telling joint pairs from product pairs that are k times as many, whatever
    n is. Its maximum is at log r exactly; always negative.

    Args:
        scores: Score matrix, shape (n, n), see the module.
        negatives: The odds k, at least 1. More put the weight on pairs with a large ratio, which
            matter most for the mean of log r.

    Note:
        For training: not mutual information and no bound on it.

    References:
        Gutmann, Hyvarinen (2012), JMLR 13, 307, section 2.

    Example:
        >>> import torch
        >>> scores = torch.eye(4)
        >>> torch.equal(noise_contrastive(scores, negatives=1), jensen_shannon(scores))
        True
    """
    scores, dtype = checked_matrix(scores)
    return logistic(scores, check_int("negatives", negatives, low=1)).to(dtype)


def infonce_anchor(scores: Tensor, *, weight: float | None = None) -> Tensor:
    """Return the objective of InfoNCE with an anchor class, a mean log likelihood in nats.

    Which of K = n - 1 candidates is the joint one, or is none (the anchor, of prior weight nu
    against 1 for each candidate)? K / (K + nu) mean_{i, j != i} [s_ii - log(nu + S_ij)] +
    nu / (K + nu) mean_i [log nu - log(nu + S_ii)], with S_ij the sum of exp(s_ik) over the columns
    k other than j. Its maximum is at log r exactly: the anchor fixes the function of x that
    `infonce` leaves open, so the mean of held-out s_ii estimates I without the cap at log n.

    Args:
        scores: Score matrix, shape (n, n), see the module.
        weight: Prior weight nu of the anchor, positive; None is n - 1, as likely as all
            candidates together.

    Note:
        For training: not mutual information and no bound on it; always negative. A weight near 0
        is InfoNCE on n - 1 samples, whose scores are not normalized.

    References:
        Ryu et al. (2025), arXiv 2510.25983; every column is left out in turn, so that all
        n(n - 1) pairs are used.

    Example:
        >>> import torch
        >>> round(infonce_anchor(torch.zeros(3, 3)).item(), 4)  # -(log 4 + log 2) / 2
        -1.0397
    """
    scores, dtype = checked_scores(scores)
    candidates = len(scores) - 1
    if weight is None:
        anchor = float(candidates)
    else:
        anchor = check_number("weight", weight, low=0.0, open_low=True)
    log_anchor = scores.new_tensor(math.log(anchor))
    log_sums = torch.logaddexp(log_sums_without_each(scores), log_anchor)
    joint = mean_off_diagonal(scores.diagonal()[:, None] - log_sums)
    none = (log_anchor - log_sums.diagonal()).mean()
    return ((candidates * joint + anchor * none) / (candidates + anchor)).to(dtype)


def smile(scores: Tensor, clip: float | None = 5.0) -> Tensor:
    """Return SMILE, mean_i s_ii - log mean_off exp(clamp(s_ij, -clip, clip)), in nats.

    The gradient is that of `jensen_shannon`, whatever the clip: the value alone is smoothed. The
    diagonal is not clipped. The best critic is log r.

    Args:
        scores: Score matrix, shape (n, n), see the module.
        clip: Limit of off-diagonal scores, positive; None or infinity: `donsker_varadhan`'s value.

    Note:
        No bound: at log r it is I - log E[clip(r)], above I by up to ``clip``, and the more so the
        larger I is. Bias for variance.

    References:
        Song, Ermon (2020), ICLR, section 5.

    Example:
        >>> import torch
        >>> smile(9.0 - 18.0 * torch.ones(4, 4) + 18.0 * torch.eye(4), clip=5.0)
        tensor(14.)
    """
    scores, dtype = checked_scores(scores)
    limit = checked_clip(clip)
    detached = scores.detach()
    value = detached.diagonal().mean() - log_mean_exp(detached.clamp(-limit, limit))
    objective = logistic(scores, 1)
    # The difference is exactly 0 and carries the gradient.
    return (value + (objective - objective.detach())).to(dtype)


# -------------------------------------------------------------------------------- upper bounds


def club(scores: Tensor) -> Tensor:
    """Return the contrastive upper bound mean_i s_ii - mean_off s_ij, in nats.

    An upper bound for scores log p(y_j | x_i), up to any function of y; there it is
    I + KL(product || joint), so it is tight only for independent variables.

    Args:
        scores: Log conditional densities log q(y_j | x_i), shape (n, n), see the module.

    Note:
        With a learned q no bound unless q is close to p; q is trained by the likelihood of the
        joint pairs, never by this value. The paper's mean includes the diagonal, which biases its
        value down by a factor (n - 1) / n.

    References:
        Cheng, Hao, Dai, Liu, Gan, Carin (2020), ICML, section 3.

    Example:
        >>> import torch
        >>> club(3.0 * torch.eye(4))
        tensor(3.)
    """
    scores, dtype = checked_scores(scores)
    return (scores.diagonal().mean() - mean_off_diagonal(scores)).to(dtype)


def leave_one_out(scores: Tensor) -> Tensor:
    """Return the upper bound mean_i [s_ii - log mean_{j != i} exp(s_ji)], in nats.

    An upper bound for scores log p(y_j | x_i), up to any function of y: the marginal of y_i is a
    mixture over the other x, the rows of column i. Tight as n grows.

    Args:
        scores: Log conditional densities log q(y_j | x_i), shape (n, n), see the module.

    Note:
        With a learned q no bound unless q is close to p. Where I is above log n the mixture of the
        others misses y_i, and the value is far too high.

    References:
        Poole et al. (2019), ICML, section 2.5.

    Example:
        >>> import torch
        >>> leave_one_out(3.0 * torch.eye(4))
        tensor(3.)
    """
    scores, dtype = checked_scores(scores)
    others = off_diagonal(scores, -torch.inf).logsumexp(dim=0) - math.log(len(scores) - 1)
    return (scores.diagonal() - others).mean().to(dtype)
