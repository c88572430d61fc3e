"""A cross-validation of fast children, to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.schedule import Schedule
from tests.experiments.crossval.test_schedule import Notes, work

folder = CrossvalFolder(Path(sys.argv[1]))
Schedule(folder, work(folder, slots=(None, None)), Notes()).run(None)
