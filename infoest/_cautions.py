"""The codes that may stand in `Estimate.warnings`: the one list of them."""

from typing import NamedTuple

CODES = frozenset(
    {
        "saturated_at_log_n",
        "too_few_samples_for_dimension",
        "bounds_disagree",
        "candidates_disagree",
        "shrunk_covariance",
        "integers_treated_as_continuous",
        "ties_broken",
        "infinite_for_continuous",
        "bias_exceeds_error",
        "bias_not_explained",
        "autocorrelated_samples",
        "rows_dropped",
        "kernel_is_identity",
        "kernel_is_constant",
        "nothing_learned",
        "train_test_gap",
        "not_converged",
        "clipped_fraction",
        "high_variance",
        "outside_training_range",
        "plain_neighbors_used",
        "subsampled",
    }
)


class Caution(NamedTuple):
    """One reason to doubt an estimate: a code for machines and a sentence for people."""

    code: str
    sentence: str
