"""Random numbers: one integer seed in, one private generator out."""

import numpy as np


def generator(random_state: int | None) -> np.random.Generator:
    """Return a generator of its own; the global random state is never read or moved.

    Args:
        random_state: A non-negative integer, the same number for the same stream, or None for a
            fresh stream each time.

    Raises:
        TypeError: If ``random_state`` is neither an integer nor None.
        ValueError: If ``random_state`` is negative.
    """
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, bool) or not isinstance(random_state, (int, np.integer)):
        raise TypeError(
            "random_state must be a non-negative integer or None, "
            f"got {type(random_state).__name__}. Pass a seed such as random_state=0."
        )
    if random_state < 0:
        raise ValueError(
            f"random_state must be a non-negative integer or None, got {random_state}. "
            "Pass a seed such as random_state=0."
        )
    return np.random.default_rng(int(random_state))
