"""Data sets as Lightning DataModules: readers, flows, faces, folds and caches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from datamodules.lazy import lazy

if TYPE_CHECKING:
    from datamodules.motion.mixed import MixedFlowDataModule
    from datamodules.sets.adfes import ADFESDataModule, ADFESFacesDataModule
    from datamodules.sets.celeba import CelebADataModule
    from datamodules.sets.ckplus import CKPlusDataModule
    from datamodules.sets.ckplus_faces import CKPlusFacesDataModule
    from datamodules.sets.ckplus_occluded import OccludedCKPlusDataModule
    from datamodules.sets.face_folder import FaceFolderDataModule
    from datamodules.sets.fer2013 import FER2013DataModule
    from datamodules.sets.ferplus import FERPlusDataModule
    from datamodules.sets.jaffe import JAFFEDataModule
    from datamodules.sets.kdef import KDEFDataModule
    from datamodules.sets.mmi import MMIDataModule, MMIFacesDataModule
    from datamodules.sets.oulu import OuluCASIADataModule, OuluCASIAFacesDataModule
    from datamodules.sets.rafd import RaFDDataModule
    from datamodules.sets.rafdb import RAFDBDataModule
    from datamodules.sets.sfew import SFEWDataModule
    from datamodules.sets.snap2dfe import SNaP2DFeDataModule
    from datamodules.stills.augmentation import Augmentation

__all__ = [
    "ADFESDataModule",
    "ADFESFacesDataModule",
    "Augmentation",
    "CKPlusDataModule",
    "CKPlusFacesDataModule",
    "CelebADataModule",
    "FER2013DataModule",
    "FERPlusDataModule",
    "FaceFolderDataModule",
    "JAFFEDataModule",
    "KDEFDataModule",
    "MMIDataModule",
    "MMIFacesDataModule",
    "MixedFlowDataModule",
    "OccludedCKPlusDataModule",
    "OuluCASIADataModule",
    "OuluCASIAFacesDataModule",
    "RAFDBDataModule",
    "RaFDDataModule",
    "SFEWDataModule",
    "SNaP2DFeDataModule",
]

MOST_PIXELS = "OPENCV_IO_MAX_IMAGE_PIXELS"
"""Variable of the environment that bounds the pictures OpenCV decodes; read when it is imported.

A picture of 0.1 MB may take gigabytes. Phones take up to 200 million pixels, 0.6 GB when decoded.
"""
os.environ.setdefault(MOST_PIXELS, str(200_000_000))

__getattr__ = lazy(__name__, __file__)
