"""Critic estimators fitted on Datasets and DataLoaders, and what they hold out of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import infoest
from infoest.datasets import correlated_normal
from infoest.estimators import _streams
from infoest.training import LoaderBatches, Training
from tests.training.regression import KilledError

SHORT = Training(steps=20)
LONGER = Training(steps=150, learning_rate=5e-3)


def pairs(n: int = 400, seed: int = 0, dim: int = 1) -> tuple[Tensor, Tensor]:
    x, y, _ = correlated_normal(n, rho=0.7, dim=dim, random_state=seed)
    return torch.from_numpy(x), torch.from_numpy(y)


class Watched(Dataset):
    """Counts what is read of it."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y, self.read = x, y, np.zeros(len(x), dtype=int)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        self.read[row] += 1
        return self.x[row], self.y[row]


class Stream(IterableDataset):
    """Pairs one after the other, without a length."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.pairs = list(zip(x, y, strict=True))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.pairs)


class ImageCritic(nn.Module):
    """Convolutions of x against labels of y as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.of_x = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
        self.of_y = nn.Linear(3, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.of_x(x) @ self.of_y(y).T


def images(n: int = 300, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images whose brightest third is their label, and the labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (n,), generator=generator)
    x = torch.rand(n, 1, 8, 8, generator=generator)
    x[:, 0, :, 0] = 0.0  # a constant column, as images have
    for label in range(3):
        x[labels == label, 0, 2 * label : 2 * label + 2] += 1.0
    return x, labels


def built(critic: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return critic()


def loader(x: Tensor, y: Tensor, *, shuffle: bool = False, size: int = 32) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    return DataLoader(TensorDataset(x, y), batch_size=size, shuffle=shuffle, generator=generator)


# --------------------------------------------------------------------------------- what is found


@pytest.mark.parametrize(
    "source",
    [
        TensorDataset,
        Stream,
        loader,
        lambda x, y: DataLoader(Stream(x, y), batch_size=50),
        lambda x, y: loader(x, y, shuffle=True),
    ],
    ids=["dataset", "iterable", "loader", "stream", "shuffled"],
)
@pytest.mark.parametrize("inputs", ["normal_scores", "standardized", "raw"])
def test_all_sources_find_the_dependence(source, inputs) -> None:
    x, y = pairs(1500)
    estimator = infoest.NoiseContrastive(inputs=inputs, training=LONGER).fit(source(x, y))
    found = estimator.evaluate(*pairs(1000, seed=1))
    assert found.value == pytest.approx(-0.5 * np.log(1.0 - 0.7**2), abs=0.08)
    assert list(estimator.history_.columns) == ["step", "loss", "held_out", "learning_rate"]


@pytest.mark.parametrize("name", ["mine", "noise_contrastive", "flo", "club"])
def test_a_small_dataset_is_fitted_as_its_arrays(name) -> None:
    """Bit for bit: the same rows are held out, and the maps see all the others."""
    x, y = pairs(300, dim=2)
    one, other = (infoest.METHODS[name](training=SHORT) for _ in range(2))
    one.fit(x, y)
    other.fit(TensorDataset(x, y))
    assert one.evaluate(x, y).to_dict() == other.evaluate(x, y).to_dict()
    assert one.history_.equals(other.history_)


def test_a_dataset_may_be_larger_than_what_is_kept(monkeypatch) -> None:
    monkeypatch.setattr(_streams, "FIRST_ROWS", 40)
    data = Watched(*pairs(1000))
    infoest.NoiseContrastive(training=Training(steps=5, batch_size=20)).fit(data)
    # 40 held out, 40 of the sample and one to see its size; 5 batches.
    assert data.read.sum() == 40 + 40 + 1 + 5 * 20
    data = Watched(*pairs(100))
    infoest.NoiseContrastive(training=Training(steps=5, batch_size=20)).fit(data)
    assert data.read.sum() == 20 + 40 + 1 + 5 * 20


def test_large_rows_are_kept_in_smaller_number() -> None:
    row = torch.zeros(1, 3, 224, 224)
    assert _streams._most_rows((row, row[:, 0, 0])) == 2**26 // (3 * 224 * 224) == 445
    assert _streams._most_rows((torch.zeros(1, 10**6), torch.zeros(1, 1))) == 256
    assert _streams._most_rows((torch.zeros(1, 2), torch.zeros(1))) == 4096


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_held_out_rows_are_never_trained_on(fraction) -> None:
    """Every row has a value of its own: those that the training saw are told from the others."""
    x, y = pairs(200)
    x[:, 0] = torch.arange(200.0)
    for source in (TensorDataset(x, y), loader(x, y, size=10), DataLoader(Stream(x, y), 10)):
        critic = built(Remembering)
        training = Training(steps=60, batch_size=10 if isinstance(source, Dataset) else None)
        fitted = infoest.NoiseContrastive(
            critic=critic, inputs="raw", training=training, validation_fraction=fraction
        ).fit(source)
        trained = fitted.critic_.seen
        assert len(trained) == round(200 * (1.0 - fraction))


class Remembering(nn.Module):
    """Keeps the values of x that it saw while training."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))
        self.seen: set[float] = set()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if self.training:
            self.seen |= set(x.flatten().tolist())
        return (x / 200.0) @ self.weight @ y.T


def test_the_first_batches_give_maps_and_are_trained_on() -> None:
    batches = LoaderBatches(loader(*pairs(100), size=10))
    first = batches.first(25)
    assert [len(x) for x, _ in first] == [10, 10, 10]
    assert [len(x) for x, _ in batches.first(5)] == [10, 10, 10]
    batches.hold_out(1)
    assert batches.per_epoch == 9
    for _ in range(2):
        for number in range(1, 10):
            assert torch.equal(batches.next()[0], pairs(100)[0][10 * number : 10 * number + 10])


def test_batches_read_ahead_do_not_change_a_resume() -> None:
    def opened() -> LoaderBatches:
        batches = LoaderBatches(loader(*pairs(100), size=10, shuffle=True))
        batches.first(25)
        batches.hold_out(2)
        return batches

    one, other = opened(), opened()
    for _ in range(23):
        one.next()
    other.restore(one.state())
    for _ in range(10):
        assert torch.equal(one.next()[0], other.next()[0])


def test_repeats_bit_for_bit_and_leaves_the_generator_alone() -> None:
    x, y = pairs()
    for source in (
        lambda: TensorDataset(x, y),
        # Draws its order from torch's own generator.
        lambda: DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True),
    ):
        before = torch.get_rng_state()
        first = infoest.NoiseContrastive(training=SHORT).fit(source())
        again = infoest.NoiseContrastive(training=SHORT).fit(source())
        assert first.evaluate(source()).to_dict() == again.evaluate(source()).to_dict()
        assert torch.equal(torch.get_rng_state(), before)


def test_evaluate_and_pointwise_read_datasets() -> None:
    x, y = pairs()
    estimator = infoest.NoiseContrastive(training=SHORT).fit(x, y)
    new_x, new_y = pairs(150, seed=1)
    found = estimator.evaluate(new_x, new_y)
    for source in (TensorDataset(new_x, new_y), Stream(new_x, new_y), loader(new_x, new_y)):
        assert estimator.evaluate(source).to_dict() == found.to_dict()
        assert np.array_equal(estimator.pointwise(source), estimator.pointwise(new_x, new_y))


@pytest.mark.parametrize("estimator", [infoest.InfoNCE, infoest.FLO])
def test_images_and_labels_with_a_critic_of_the_user(tmp_path, estimator) -> None:
    kind = estimator
    training = Training(steps=150, learning_rate=1e-2)
    estimator = kind(critic=built(ImageCritic), inputs="raw", training=training)
    estimator.fit(TensorDataset(*images()), discrete="y")
    found = estimator.evaluate(TensorDataset(*images(400, seed=1)))
    assert found.value == pytest.approx(np.log(3.0), abs=0.15)
    assert found.n_samples == 400
    estimator.save(tmp_path / "images")
    loaded = kind.load(tmp_path / "images", critic=built(ImageCritic))
    assert loaded.evaluate(TensorDataset(*images(400, seed=1))).to_dict() == found.to_dict()
    with pytest.raises(ValueError, match=r"^x must have rows of shape \(1, 8, 8\) as in fit, got"):
        estimator.evaluate(TensorDataset(images(50)[0][:, :, 1:], images(50)[1]))
    with pytest.raises(ValueError, match=r"^x must have rows of shape \(1, 8, 8\) as in fit, got"):
        estimator.evaluate(images(50)[0].flatten(1)[:, 8:16], images(50)[1], discrete="y")


@pytest.mark.parametrize("name", ["tuba", "flo", "barber_agakov", "difference_of_entropies"])
def test_labels_of_a_dataset(name) -> None:
    """As indicators, in every kind of estimator, and again in arrays of some of them."""
    x, y = pairs(600)
    labels = torch.bucketize(y[:, 0], torch.tensor([-0.5, 0.5]))
    estimator = infoest.METHODS[name](training=SHORT).fit(TensorDataset(x, labels), discrete="y")
    assert estimator.maps_[1].features == 3
    found = estimator.evaluate(TensorDataset(x, labels))
    assert found.to_dict() == estimator.evaluate(TensorDataset(x, labels), discrete="y").to_dict()
    assert found.to_dict() == estimator.evaluate(x, labels, discrete="y").to_dict()
    kept = labels > 0
    assert np.array_equal(
        estimator.pointwise(TensorDataset(x[kept], labels[kept])),
        estimator.pointwise(x[kept], labels[kept], discrete="y"),
    )
    with pytest.raises(ValueError, match=r"^discrete must be 'y' as in fit, got 'x'"):
        estimator.evaluate(TensorDataset(x, labels), discrete="x")


@pytest.mark.parametrize("name", ["MINE", "NoiseContrastive"])
@pytest.mark.parametrize("source", [TensorDataset, loader], ids=["dataset", "loader"])
def test_a_killed_fit_resumes(tmp_path, monkeypatch, source, name) -> None:
    x, y = pairs()

    def fit(checkpoint: Path | None = None) -> infoest.MINE:
        training = Training(steps=30, evaluate_every=5, patience=None, checkpoint=checkpoint)
        return getattr(infoest, name)(training=training).fit(source(x, y))

    whole = fit()
    with monkeypatch.context() as patch:
        patch.setattr(LoaderBatches, "next", _killed_at(LoaderBatches.next, 17))
        patch.setattr(_streams.DatasetBatches, "next", _killed_at(_streams.DatasetBatches.next, 17))
        with pytest.raises(KilledError):
            fit(tmp_path / "run.pt")
    again = fit(tmp_path / "run.pt")
    for key, value in whole.scorer_.state_dict().items():
        assert torch.equal(value, again.scorer_.state_dict()[key]), key
    assert whole.history_.equals(again.history_)


def _killed_at(right: Any, step: int) -> Any:
    calls = 0

    def following(self: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == step:
            raise KilledError
        return right(self)

    return following


# ------------------------------------------------------------------------------------- bad input


class Triples(Watched):
    def __getitem__(self, row: int) -> Any:
        return self.x[row], self.y[row], 0


class Words(Watched):
    def __getitem__(self, row: int) -> Any:
        return "word", self.y[row]


class Ragged(Watched):
    def __getitem__(self, row: int) -> Any:
        return self.x[row].repeat(1 + row % 2), self.y[row]


class WithoutLength(Dataset):
    def __getitem__(self, row: int) -> Any:
        return torch.zeros(1), torch.zeros(1)


class Missing(Watched):
    def __getitem__(self, row: int) -> Any:
        return self.x[row] * torch.nan, self.y[row]


class Complex(Watched):
    def __getitem__(self, row: int) -> Any:
        return self.x[row].to(torch.complex64), self.y[row]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (Triples, TypeError, r"^x must yield pairs \(x, y\), got a tuple of 3"),
        (Words, TypeError, r"^x must be a tensor in every batch, got tuple"),
        (Ragged, ValueError, r"^x must yield pairs of one shape, got rows that differ"),
        (Missing, ValueError, r"^x must be finite in every batch, got 1 NaN"),
        (Complex, TypeError, r"^x must be real numbers, got torch.complex64"),
        (lambda x, y: WithoutLength(), TypeError, r"^x must be a Dataset with a length, got With"),
        (lambda x, y: TensorDataset(x[:9], y[:9]), ValueError, r"^x must have at least 10 rows"),
        (lambda x, y: TensorDataset(x[:0], y[:0]), ValueError, r"^x must have at least 10 rows"),
        (lambda x, y: TensorDataset(x), TypeError, r"^x must yield pairs \(x, y\), got a tuple of"),
        (
            lambda x, y: TensorDataset(x, torch.ones_like(y)),
            ValueError,
            r"^y must vary in every column, got constant column 0 in the first 320 rows",
        ),
        (
            lambda x, y: TensorDataset(x[:, None, None], y),
            ValueError,
            r"^x must have shape \(rows, columns\) in every batch, .* inputs='raw' and a critic",
        ),
        (lambda x, y: loader(x[:30], y[:30]), ValueError, r"at least 8 rows beside those held out"),
        (lambda x, y: loader(x[:40], y[:40]), None, ""),
        (lambda x, y: loader(x[:0], y[:0]), ValueError, r"^x must yield batches \(x, y\), got a l"),
        (lambda x, y: Stream(x[:0], y[:0]), ValueError, r"^x must yield batches \(x, y\), got a l"),
        (lambda x, y: loader(x[:97], y[:97]), ValueError, r"batches of at least 2 rows, got 1"),
        (lambda x, y: DataLoader(Triples(x, y)), TypeError, r"^x must yield pairs"),
    ],
)
def test_sources_that_are_none(source, error, message) -> None:
    x, y = pairs()
    estimator = infoest.NoiseContrastive(training=SHORT)
    if error is None:
        estimator.fit(source(x, y))
        return
    with pytest.raises(error, match=message):
        estimator.fit(source(x, y))
    assert not hasattr(estimator, "critic_")


def test_errors_say_the_remedy() -> None:
    x, y = pairs()
    data, estimator = TensorDataset(x, y), infoest.NoiseContrastive(training=SHORT)
    with pytest.raises(TypeError, match=r"^y must be None with a TensorDataset, got a Tensor"):
        estimator.fit(data, y)
    with pytest.raises(TypeError, match=r"^x must be an array here, got a TensorDataset"):
        estimator.estimate(data, y)
    with pytest.raises(TypeError, match=r"^y must be an array of samples, got None"):
        estimator.fit(x)
    with pytest.raises(ValueError, match=r"^discrete must be one of"):
        estimator.fit(data, discrete="z")
    with pytest.raises(infoest._validation.NotFittedError, match=r"must be fitted first"):
        estimator.evaluate(data)
    estimator.fit(data)
    with pytest.raises(TypeError, match=r"^y must be None with a DataLoader"):
        estimator.evaluate(loader(x, y), y)
    with pytest.raises(ValueError, match=r"^x must have at least 5 complete rows, got 3"):
        estimator.evaluate(TensorDataset(x[:3], y[:3]))
    with pytest.raises(ValueError, match=r"^x must have at least 5 complete rows, got 0"):
        estimator.pointwise(loader(x[:0], y[:0]))
    with pytest.raises(ValueError, match=r"^x must have 1 columns as in fit, got 2"):
        estimator.evaluate(TensorDataset(torch.cat([x, x**2], dim=1), y))
    with pytest.raises(ValueError, match=r"^batch_size must be in \[2, 320\], got 400.* split has"):
        infoest.MINE(training=Training(batch_size=400)).fit(data)
    with pytest.raises(ValueError, match=r"^batch_size must be None for a DataLoader, got 16"):
        infoest.MINE(training=Training(batch_size=16)).fit(loader(x, y))
    with pytest.raises(ValueError, match=r"^epochs must be None for data without a length"):
        infoest.MINE(training=Training(epochs=2)).fit(Stream(x, y))
    with pytest.raises(ValueError, match=r"^device must be one of"):
        infoest.MINE(training=Training(device="cuda:7")).fit(data)


def test_epochs_count_what_is_trained_on() -> None:
    x, y = pairs(330)
    estimator = infoest.MINE(training=Training(epochs=2, patience=None)).fit(loader(x, y, size=30))
    assert estimator.history_["step"].max() == 2 * 9  # 11 batches, 2 of them held out


def test_labels_must_be_numbered(monkeypatch) -> None:
    x, y = pairs()
    for labels, error, message in (
        (y[:, 0], TypeError, r"^y must be one integer a row to be used as labels, got torch.float"),
        (torch.ones(400, 2).long(), TypeError, r"^y must be one integer a row"),
        (-torch.ones(400).long(), ValueError, r"^y must hold labels of at least 0, got -1"),
    ):
        with pytest.raises(error, match=message):
            infoest.MINE(training=SHORT).fit(TensorDataset(x, labels), discrete="y")
    late = torch.zeros(400).long()
    late[::2], late[390] = 1, 2
    monkeypatch.setattr(_streams, "FIRST_ROWS", 100)
    with pytest.raises(ValueError, match=r"^y must hold labels below 2, .* got 2. Shuffle"):
        infoest.MINE(training=SHORT).fit(loader(x, late, size=50), discrete="y")


def test_rows_of_another_shape_later_are_said(monkeypatch) -> None:
    x, y = pairs()
    batches = [(x[:50], y[:50])] * 6 + [(torch.cat([x, x], dim=1)[:50], y[:50])]

    class Batched(IterableDataset):
        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            return iter(batches)

    source = DataLoader(Batched(), batch_size=None)
    monkeypatch.setattr(_streams, "FIRST_ROWS", 100)
    with pytest.raises(ValueError, match=r"^x must have 1 columns as in fit, got 2"):
        infoest.MINE(training=SHORT).fit(source)
