"""Sources of batches: every row once an epoch, in an order of their own, and clear refusals."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from infoest.training import ArrayBatches, DatasetBatches, LoaderBatches, Training, train
from infoest.training.batches import as_pair, pairs_of

from .regression import SOURCES, Rows, Stream, data, fit, loader, network, seeded, stream, unchanged


class Items(Dataset):
    def __init__(self, *items) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int):
        return self.items[row]


# ---------------------------------------------------------------------------- rows in memory


def numbered(n: int, batch_size: int, seed: int = 0) -> ArrayBatches:
    x = torch.arange(n)[:, None]
    return ArrayBatches(x, 10 * x, batch_size, seed)


def test_an_epoch_has_every_row_once_and_rows_stay_paired() -> None:
    source = numbered(12, 4)
    for _ in range(3):
        pairs = [source.next() for _ in range(3)]
        x = torch.cat([pair[0] for pair in pairs])
        assert sorted(x.flatten().tolist()) == list(range(12))
        assert torch.equal(torch.cat([pair[1] for pair in pairs]), 10 * x)


def test_a_short_rest_is_left_out_and_others_the_next_time() -> None:
    source = numbered(10, 4)
    assert source.per_epoch == 2
    left = set()
    for _ in range(20):
        x = torch.cat([source.next()[0], source.next()[0]]).flatten().tolist()
        assert len(set(x)) == 8
        left |= set(range(10)) - set(x)
    assert left == set(range(10))


def test_the_order_is_that_of_the_seed() -> None:
    one, same, other = numbered(50, 10, 0), numbered(50, 10, 0), numbered(50, 10, 1)
    first = [source.next()[0] for source in (one, same, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_one_batch_of_all_rows() -> None:
    source = numbered(7, 7)
    assert source.per_epoch == 1
    for _ in range(3):
        assert sorted(source.next()[0].flatten().tolist()) == list(range(7))


def test_arrays_are_not_changed() -> None:
    x, y = data()
    before = x.clone(), y.clone()
    source = ArrayBatches(x, y, 16, seed=0)
    for _ in range(10):
        batch = source.next()
        batch[0].zero_()
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("size", [97, 1000])
def test_batch_larger_than_the_split(size) -> None:
    sentence = rf"batch_size must be in \[2, 96\], got {size}. The training split has 96 rows"
    with pytest.raises(ValueError, match=sentence):
        ArrayBatches(*data(), size, seed=0)
    with pytest.raises(ValueError, match=sentence):
        DatasetBatches(Rows(), torch.arange(96), size, 0, unchanged)
    with pytest.raises(ValueError, match=r"batch_size must be in \[2, 40\], got 41"):
        DatasetBatches(Rows(), torch.arange(40), 41, 0, unchanged)


@pytest.mark.parametrize("size", [1, 0, -3])
def test_batch_without_negatives(size) -> None:
    with pytest.raises(ValueError, match=rf"batch_size must be in \[2, 96\], got {size}"):
        ArrayBatches(*data(), size, seed=0)


def test_sides_of_different_lengths() -> None:
    x, y = data()
    with pytest.raises(ValueError, match=r"x and y must have as many rows as each other, got"):
        ArrayBatches(x, y[:-1], 16, seed=0)


@pytest.mark.parametrize("source", SOURCES)
def test_state_and_back(source) -> None:
    with seeded():
        one, other = source(), source()
        for _ in range(13):
            one.next()
        state = one.state()
        following = [one.next() for _ in range(13)]
        for _ in range(0 if source in (loader, stream) else 5):
            other.next()
        other.restore(state)
        again = [other.next() for _ in range(13)]
    for (x, y), (again_x, again_y) in zip(following, again, strict=True):
        assert torch.equal(x, again_x)
        assert torch.equal(y, again_y)


def test_fingerprints() -> None:
    x, y = data()
    prints = {
        ArrayBatches(x, y, 16, 0).fingerprint(),
        ArrayBatches(x, y, 16, 1).fingerprint(),
        ArrayBatches(x, y, 12, 0).fingerprint(),
        ArrayBatches(y, x, 16, 0).fingerprint(),
        ArrayBatches(x.flip(0), y, 16, 0).fingerprint(),
        ArrayBatches(x.float(), y, 16, 0).fingerprint(),
        ArrayBatches(x.reshape(96, 1, 3), y, 16, 0).fingerprint(),
        ArrayBatches(x.bfloat16(), y, 16, 0).fingerprint(),
        ArrayBatches(x > 0, y, 16, 0).fingerprint(),
    }
    assert len(prints) == 9
    assert ArrayBatches(x.clone(), y.clone(), 16, 0).fingerprint() in prints


def test_fingerprint_of_a_dataset_tells_which_rows() -> None:
    def of(rows) -> str:
        return DatasetBatches(Rows(), rows, 16, 0, unchanged).fingerprint()

    # The first 64 rows are the same: the others are told by their numbers.
    assert of(torch.arange(90)) == of(torch.arange(90))
    assert of(torch.arange(90)) != of(torch.arange(91))


def test_a_look_at_augmented_rows_moves_nothing() -> None:
    class Augmented(Rows):
        def __getitem__(self, row):
            return self.x[row] + torch.randn(3, dtype=torch.float64), self.y[row]

    with seeded():
        before = torch.get_rng_state()
        DatasetBatches(Augmented(), torch.arange(90), 16, 0, unchanged).fingerprint()
        assert torch.equal(before, torch.get_rng_state())


# ---------------------------------------------------------------------------- datasets


def test_a_dataset_gives_the_batches_of_its_arrays() -> None:
    x, y = data()
    rows = torch.arange(20, 96)
    one = DatasetBatches(Rows(), rows, 16, 4, unchanged)
    other = ArrayBatches(x[rows], y[rows], 16, 4)
    for _ in range(9):
        for side, same in zip(one.next(), other.next(), strict=True):
            assert torch.equal(side, same)
    assert one.per_epoch == other.per_epoch == 4


def test_only_rows_of_the_batch_are_read() -> None:
    read = []

    class Watched(Rows):
        def __getitem__(self, row):
            read.append(row)
            return super().__getitem__(row)

    source = DatasetBatches(Watched(), torch.arange(90), 16, 0, unchanged)
    assert read == []
    source.next()
    assert len(read) == len(set(read)) == 16
    assert {type(row) for row in read} == {int}


def test_transform_is_applied_to_batches() -> None:
    def halved(pair):
        return pair[0] / 2, pair[1].float()

    plain = DatasetBatches(Rows(), torch.arange(90), 16, 0, unchanged).next()
    found = DatasetBatches(Rows(), torch.arange(90), 16, 0, halved).next()
    assert torch.equal(found[0], plain[0] / 2)
    assert found[1].dtype == torch.float32
    with seeded():
        first = LoaderBatches(DataLoader(Rows(), 16), halved).next()
    assert first[1].dtype == torch.float32


def test_numbers_arrays_and_named_pairs_are_pairs() -> None:
    x, y = pairs_of(Items((1.5, 2), (2.5, 3)), torch.tensor([1, 0]))
    assert x.tolist() == [2.5, 1.5]
    assert y.tolist() == [3, 2]
    arrays = Items((np.zeros(3), np.float32(1)), (np.ones(3), np.float32(2)))
    assert [tuple(side.shape) for side in pairs_of(arrays, torch.arange(2))] == [(2, 3), (2,)]
    Pair = namedtuple("Pair", "x y")
    assert pairs_of(Items(Pair(1.0, 2.0), Pair(3.0, 4.0)), torch.arange(2))[1].tolist() == [2, 4]


ZERO = torch.zeros(3)


@pytest.mark.parametrize(
    ("items", "error", "sentence"),
    [
        ([{"x": ZERO, "y": ZERO}] * 3, TypeError, r"x must yield pairs \(x, y\), got a dict\."),
        ([(ZERO, ZERO, ZERO)] * 3, TypeError, r"x must yield pairs .* got a tuple of 3\."),
        ([(ZERO,)] * 3, TypeError, r"x must yield pairs .* got a tuple of 1\."),
        ([ZERO] * 3, TypeError, r"x must yield pairs .* got a Tensor\."),
        ([None] * 3, TypeError, r"x must yield pairs .* got a NoneType\."),
        (["ab"] * 3, TypeError, r"x must yield pairs .* got a str\."),
        ([(ZERO, "cat")] * 3, TypeError, "y must be a tensor in every batch, got "),
        ([(ZERO, None)] * 3, TypeError, "x must yield pairs of tensors, arrays or numbers, got"),
        ([(ZERO, {"a": 1.0})] * 3, TypeError, "y must be a tensor in every batch, got dict"),
        ([((ZERO, ZERO), ZERO)] * 3, TypeError, "x must be a tensor in every batch, got "),
        (
            [(ZERO, ZERO), (ZERO, ZERO), (torch.zeros(4), ZERO)],
            ValueError,
            "x must yield pairs of one shape, got rows that differ",
        ),
        (
            [(ZERO, ZERO), (ZERO * torch.nan, ZERO), (ZERO, ZERO)],
            ValueError,
            "x must be finite in every batch, got 3 NaN or infinite entries. Leave",
        ),
        (
            [(ZERO, ZERO), (ZERO, ZERO), (ZERO, ZERO + torch.inf)],
            ValueError,
            "y must be finite in every batch, got 3 NaN",
        ),
    ],
)
def test_datasets_that_yield_something_else(items, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        DatasetBatches(Items(*items), torch.arange(3), 3, 0, unchanged).next()


# ---------------------------------------------------------------------------- loaders


def test_a_loader_begins_again() -> None:
    with seeded():
        source = LoaderBatches(DataLoader(Rows(), batch_size=20), unchanged)
        sizes = [len(source.next()[0]) for _ in range(11)]
    assert source.per_epoch == 5
    assert sizes == [20, 20, 20, 20, 16] * 2 + [20]


def test_epochs_of_lists_and_streams() -> None:
    batches = [(ZERO[:, None], ZERO[:, None])] * 4
    assert LoaderBatches(batches, unchanged).per_epoch == 4
    assert LoaderBatches(iter(batches), unchanged).per_epoch is None
    with seeded():
        assert stream().per_epoch is None
        with pytest.raises(ValueError, match="epochs must be None for data without a length"):
            fit(stream, steps=None, epochs=2)
        assert fit(loader, steps=None, epochs=2)[1].n_steps == 10
        assert fit(steps=None, epochs=2)[1].n_steps == 12


def test_a_stream_gives_fresh_samples_at_every_step() -> None:
    with seeded():
        source = stream()
        batches = [source.next()[0] for _ in range(30)]
        rows = torch.cat(batches)
        assert len(torch.unique(rows, dim=0)) == 480
        _, history = fit(stream, steps=200, averaging=0.9, weight_decay=0.0)
    assert history.losses[0] > 3 * float(np.mean(history.losses[-20:]))


def test_a_stream_that_knows_its_length_has_no_epochs() -> None:
    class Long(Stream):
        def __len__(self) -> int:
            return 1000

    with seeded():
        assert LoaderBatches(DataLoader(Long(), batch_size=16), unchanged).per_epoch is None


@pytest.mark.parametrize(
    "empty",
    [
        [],
        iter([]),
        DataLoader(TensorDataset(*data(n=5)), batch_size=16, drop_last=True),
        DataLoader(TensorDataset(torch.zeros(0, 3), torch.zeros(0, 1)), batch_size=2),
    ],
    ids=["list", "iterator", "drop_last", "no rows"],
)
def test_an_empty_loader(empty) -> None:
    with pytest.raises(ValueError, match=r"x must yield batches .* is empty or can be read only"):
        LoaderBatches(empty, unchanged).next()


def test_a_generator_that_ends() -> None:
    x, y = data()
    source = LoaderBatches(((x[i : i + 16], y[i : i + 16]) for i in (0, 16, 32)), unchanged)
    for _ in range(3):
        source.next()
    with pytest.raises(ValueError, match=r"x must yield batches .* can be read only once. Pass a"):
        source.next()


def test_a_generator_without_an_end() -> None:
    def endless():
        generator = torch.Generator().manual_seed(0)
        while True:
            yield torch.randn(8, 3, generator=generator), torch.randn(8, 1, generator=generator)

    source = LoaderBatches(endless(), unchanged)
    assert len(torch.unique(torch.cat([source.next()[0] for _ in range(50)]), dim=0)) == 400


@pytest.mark.parametrize("value", [3, None, Rows(), Stream(), object()])
def test_what_is_no_loader(value) -> None:
    with pytest.raises(TypeError, match=r"x must be an iterable of batches .* Put a DataLoader"):
        LoaderBatches(value, unchanged)


@pytest.mark.parametrize(
    ("batch", "error", "sentence"),
    [
        ({"x": ZERO, "y": ZERO}, TypeError, r"x must yield pairs \(x, y\), got a dict"),
        ((ZERO, ZERO, ZERO), TypeError, "got a tuple of 3"),
        ((np.zeros(3), ZERO), TypeError, "x must be a tensor in every batch, got ndarray"),
        ((ZERO, [1, 2, 3]), TypeError, "y must be a tensor in every batch, got list"),
        (
            (ZERO, torch.zeros(4)),
            ValueError,
            r"rows as each other in every batch, got .*\(3,\) and",
        ),
        ((torch.tensor(1.0), ZERO), ValueError, r"in every batch, got shapes \(\) and \(3,\)"),
        ((ZERO[:1], ZERO[:1]), ValueError, "batches of at least 2 rows, got 1. .* drop_last=True"),
        ((ZERO[:0], ZERO[:0]), ValueError, "batches of at least 2 rows, got 0"),
        ((ZERO * torch.nan, ZERO), ValueError, "x must be finite in every batch, got 3 NaN"),
    ],
)
def test_loaders_that_yield_something_else(batch, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        LoaderBatches([batch], unchanged).next()


def test_large_values_are_finite() -> None:
    """Their sum overflows float32; they do not."""
    x = torch.full((4, 1), 3e38)
    assert as_pair((x, x))[0] is x
    whole = torch.arange(4)
    assert as_pair((whole, whole > 1))[0] is whole


def test_errors_of_data_leave_the_best_weights() -> None:
    """A row that cannot be read after hours must not cost what was learned."""
    x, y = data()

    def broken():
        for _ in range(25):
            yield x[:16], y[:16]
        yield x[:16] * torch.nan, y[:16]

    def run(source, steps):
        with seeded():
            model = network()
        train(
            model,
            lambda x, y: (model(x) - y).square().mean(),
            source,
            training=Training(steps=steps, evaluate_every=10),
        )
        return model

    with seeded():
        model = network()
    with pytest.raises(ValueError, match="x must be finite in every batch"):
        train(
            model,
            lambda x, y: (model(x) - y).square().mean(),
            LoaderBatches(broken(), unchanged),
            training=Training(steps=60, evaluate_every=10),
        )
    expected = run(LoaderBatches([(x[:16], y[:16])], unchanged), 20)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])
    assert not model.training


def test_iterable_dataset_of_batches() -> None:
    class Whole(IterableDataset):
        def __iter__(self):
            for _ in range(3):
                yield data(n=8)

    with seeded():
        source = LoaderBatches(DataLoader(Whole(), batch_size=None), unchanged)
        assert source.next()[0].shape == (8, 3)
