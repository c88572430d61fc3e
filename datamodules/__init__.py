"""Data sets as Lightning DataModules: readers, flows, folds and caches."""

from datamodules.ckplus import CKPlusDataModule
from datamodules.ckplus_occluded import OccludedCKPlusDataModule
from datamodules.snap2dfe import SNaP2DFeDataModule

__all__ = ["CKPlusDataModule", "OccludedCKPlusDataModule", "SNaP2DFeDataModule"]
