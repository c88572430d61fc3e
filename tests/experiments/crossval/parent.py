"""A cross-validation of fast children, to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from experiments.crossval.folder import CrossvalFolder
from experiments.jobs import step
from tests.experiments.crossval.test_folds import PROGRAM, make_queue

step.PROGRAM = PROGRAM
make_queue(CrossvalFolder(Path(sys.argv[1])), slots=(None, None)).run(None)
