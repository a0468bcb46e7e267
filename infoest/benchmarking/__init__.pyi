from .runs import Row as Row
from .runs import run as run
from .summaries import Summary as Summary
from .summaries import summarize as summarize
from .tables import write_csv as write_csv

__all__ = ["Row", "Summary", "run", "summarize", "write_csv"]
