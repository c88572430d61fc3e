"""Data sets as Lightning DataModules: readers, flows, folds and caches."""

from datamodules.ckplus import CKPlusDataModule
from datamodules.snap2dfe import SNaP2DFeDataModule

__all__ = ["CKPlusDataModule", "SNaP2DFeDataModule"]
