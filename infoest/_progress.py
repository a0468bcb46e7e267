"""The progress bar of everything that takes long: on standard error, and gone at the end."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(shown: bool, label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how much is done.

    Args:
        shown: Whether there is a bar; without, the function does nothing.
        label: What is going on.
        total: How much there is to do.
    """
    if not shown:
        yield lambda done: None
        return
    # At its import rich draws the identities of its styles from Python's global generator.
    state = random.getstate()
    from rich.console import Console
    from rich.progress import Progress

    random.setstate(state)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.update(task, completed=done)
