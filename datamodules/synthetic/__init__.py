"""Faces drawn procedurally, and data sets of them in the layouts of the real ones."""

from datamodules.synthetic.adfes import write_adfes
from datamodules.synthetic.ckplus import write_ckplus
from datamodules.synthetic.difficulty import Difficulty
from datamodules.synthetic.face import FaceModel
from datamodules.synthetic.ferplus import write_ferplus
from datamodules.synthetic.head_pose import POSES, HeadPose
from datamodules.synthetic.identity import Identity
from datamodules.synthetic.light import Light
from datamodules.synthetic.mmi import write_mmi
from datamodules.synthetic.oulu import write_oulu
from datamodules.synthetic.rafdb import write_rafdb
from datamodules.synthetic.scene import Frame
from datamodules.synthetic.snap2dfe import write_snap2dfe

__all__ = [
    "POSES",
    "Difficulty",
    "FaceModel",
    "Frame",
    "HeadPose",
    "Identity",
    "Light",
    "write_adfes",
    "write_ckplus",
    "write_ferplus",
    "write_mmi",
    "write_oulu",
    "write_rafdb",
    "write_snap2dfe",
]
