"""A study of fast children, to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from experiments.jobs import step
from tests.experiments.crossval.test_folds import PROGRAM
from tests.experiments.study.test_queue import make_queue

step.PROGRAM = PROGRAM
make_queue([Path(path) for path in sys.argv[1:]]).run()
