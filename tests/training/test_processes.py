"""Two processes train what one trains on the joined batch, and agree on everything.

The two processes are started once, do all that two_processes.py says, and leave what they found in
files.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from infoest.training import gather_rows
from infoest.training.processes import from_all, from_first, process_index, process_total

from ..two_processes import found_by_two, needs_gloo
from .regression import assert_same_weights
from .two_processes import OBJECTIVES, train_critic, train_encoders, train_regression

pytestmark = needs_gloo


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what both processes found."""
    folder = tmp_path_factory.mktemp("two")
    return found_by_two("tests.training.two_processes", folder)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_processes_train_what_one_trains(found, objective) -> None:
    alone = train_critic(objective, seed=0)
    for name, weight in alone["weights"].items():
        torch.testing.assert_close(
            found[0][objective]["weights"][name], weight, rtol=1e-6, atol=1e-9
        )
    assert found[0][objective]["history"]["losses"] == pytest.approx(
        alone["history"]["losses"], rel=1e-8
    )
    # Both stopped early: the decision was tested, too.
    assert alone["history"]["ended"] == found[0][objective]["history"]["ended"]
    assert alone["history"]["best_step"] == found[0][objective]["history"]["best_step"]


@pytest.mark.parametrize("case", [*OBJECTIVES, "regression", "stop", "resume"])
def test_both_agree_bit_for_bit(found, case) -> None:
    assert_same_weights(found[0][case]["weights"], found[1][case]["weights"])
    assert found[0][case]["history"] == found[1][case]["history"]


def test_gradients_pass_both_joined_sides(found) -> None:
    """Embeddings of others carry gradients to the networks of all; unused weights do not decay."""
    alone = train_encoders()["weights"]
    for process in found:
        for name, weight in alone.items():
            torch.testing.assert_close(
                process["encoders"]["weights"][name], weight, rtol=1e-6, atol=1e-9
            )
        assert torch.equal(process["encoders"]["weights"]["unused.weight"], alone["unused.weight"])


def test_the_mean_of_different_losses_is_minimized(found) -> None:
    alone = train_regression()
    for name, weight in alone["weights"].items():
        torch.testing.assert_close(
            found[0]["regression"]["weights"][name], weight, rtol=1e-6, atol=1e-9
        )
    assert found[0]["regression"]["history"]["losses"] == pytest.approx(
        alone["history"]["losses"], rel=1e-8
    )


def test_both_stop_where_the_first_says(found) -> None:
    for process in found:
        history = process["stop"]["history"]
        assert history["ended"] == "patience"
        assert history["evaluated"] == [[2, 3.0], [4, 4.0], [6, 5.0]]
        assert len(history["losses"]) == 6


def test_resume_in_two_processes(found) -> None:
    for process in found:
        again = process["resume"]
        assert_same_weights(again["whole"], again["weights"])
        assert again["whole_history"] == again["history"]
        assert again["calls"] == 30
    assert [process["resume"]["written"] for process in found] == [6, 0]


def test_errors_are_raised_in_both(found) -> None:
    assert found[0]["errors"] == found[1]["errors"]
    sentences = {
        "nan_in_one": "TrainingDivergedError: loss must be finite, got nan at step 1 with",
        "no_folder": "ValueError: checkpoint must be a file that can be written",
        "other_checkpoint": "ValueError: checkpoint must be of the same data, untrained network",
        "odd_batch": "ValueError: batch_size must be a multiple of the 2 processes, got 31.",
        "unequal_batches": (
            "ValueError: rows must have the same shape on every process, got [(16, 1), (15, 1)]."
        ),
    }
    for case, sentence in sentences.items():
        assert found[0]["errors"][case].startswith(sentence), found[0]["errors"][case]


def test_one_process_is_alone() -> None:
    assert (process_index(), process_total()) == (0, 1)
    rows = torch.zeros(3, 2)
    assert gather_rows(rows) is rows
    assert from_first(lambda: 5) == 5
    assert from_all("a") == ["a"]
