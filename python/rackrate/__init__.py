"""rackrate: where to train a large model and where to serve it, in numbers that can be checked.

>>> import rackrate as rr
>>> [scenario.name for scenario in rr.scenarios()][0]
'azure-trains-oci-serves'
"""

from rackrate import _types as types
from rackrate._answer import Answer, Rows
from rackrate._api import (
    collective,
    plan,
    search_layouts,
    search_serving,
    serving_point,
    simulate,
    training_step,
)
from rackrate._core import VERSION as __version__  # noqa: N811 (Python's name for it)
from rackrate._errors import RackrateError
from rackrate._known import catalog, scenarios, table, validate
from rackrate._overlay import Table
from rackrate._sweep import Sweep, sweep

__all__ = [
    "Answer",
    "RackrateError",
    "Rows",
    "Sweep",
    "Table",
    "__version__",
    "catalog",
    "collective",
    "plan",
    "scenarios",
    "search_layouts",
    "search_serving",
    "serving_point",
    "simulate",
    "sweep",
    "table",
    "training_step",
    "types",
    "validate",
]
