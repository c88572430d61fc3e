"""Data sets as Lightning DataModules: readers, flows, faces, folds and caches."""

from datamodules.augmentation import Augmentation
from datamodules.celeba import CelebADataModule
from datamodules.ckplus import CKPlusDataModule
from datamodules.ckplus_faces import CKPlusFacesDataModule
from datamodules.ckplus_occluded import OccludedCKPlusDataModule
from datamodules.face_folder import FaceFolderDataModule
from datamodules.fer2013 import FER2013DataModule
from datamodules.ferplus import FERPlusDataModule
from datamodules.jaffe import JAFFEDataModule
from datamodules.kdef import KDEFDataModule
from datamodules.rafd import RaFDDataModule
from datamodules.rafdb import RAFDBDataModule
from datamodules.sfew import SFEWDataModule
from datamodules.snap2dfe import SNaP2DFeDataModule

__all__ = [
    "Augmentation",
    "CKPlusDataModule",
    "CKPlusFacesDataModule",
    "CelebADataModule",
    "FER2013DataModule",
    "FERPlusDataModule",
    "FaceFolderDataModule",
    "JAFFEDataModule",
    "KDEFDataModule",
    "OccludedCKPlusDataModule",
    "RAFDBDataModule",
    "RaFDDataModule",
    "SFEWDataModule",
    "SNaP2DFeDataModule",
]
