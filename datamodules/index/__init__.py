"""The index of a data set: one row a sample, column by column, whatever the data set."""

from datamodules.index.index import PARTS, Index, in_natural_order

__all__ = ["PARTS", "Index", "in_natural_order"]
