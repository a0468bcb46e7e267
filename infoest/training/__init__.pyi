from .batches import ArrayBatches as ArrayBatches
from .batches import Batches as Batches
from .batches import DatasetBatches as DatasetBatches
from .batches import LoaderBatches as LoaderBatches
from .devices import resolve_device as resolve_device
from .history import History as History
from .loop import train as train
from .processes import gather_rows as gather_rows
from .processes import joint_scores as joint_scores
from .settings import Training as Training
from .settings import TrainingDivergedError as TrainingDivergedError

__all__ = [
    "ArrayBatches",
    "Batches",
    "DatasetBatches",
    "History",
    "LoaderBatches",
    "Training",
    "TrainingDivergedError",
    "gather_rows",
    "joint_scores",
    "resolve_device",
    "train",
]
