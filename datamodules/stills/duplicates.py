"""Images that come twice: equal ones, and ones that differ by compression, size or light only.

A test image whose twin was trained on measures memory, not recognition. Twins are grouped over
the whole data set once, whatever its parts, and what was found is kept beside the cache.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datamodules.images import grey
from datamodules.store.cache import Cache
from datamodules.store.digests import code_digest
from datamodules.store.threads import for_each

HASH_DISTANCE = 6
"""Bits of 64 in which the hashes of near duplicates may differ."""

CORRELATION = 0.98
"""Least correlation of the thumbnails of near duplicates.

The hash alone would call aligned faces of different people duplicates, because it sees little but
that they are faces.
"""

_THUMBNAIL = 32  # side in pixels
_CHUNK = 1 << 21  # pairs of hashes that are compared at a time

_Rows = NDArray[np.int64]
Pairs = tuple[_Rows, _Rows]
"""Positions of one image and of another, pair by pair."""


@dataclass(frozen=True)
class Duplicates:
    """Groups of images that are the same.

    Attributes:
        exact: int64 [N], number of the group of each image; equal images share one.
        near: int64 [N], the same with nearly equal images in one group as well.
    """

    exact: NDArray[np.int64]
    near: NDArray[np.int64]

    def twins(self, rows: NDArray[np.int64], *, near: bool = True) -> NDArray[np.bool_]:
        """Tell which images have a twin among some rows, which are their own twins: bool [N].

        Args:
            rows: int64, the rows, e.g. those trained on.
            near: Whether nearly equal images are twins too.
        """
        group_of = self.near if near else self.exact
        seen = np.zeros(int(group_of.max()) + 1, np.bool_)
        seen[group_of[rows]] = True
        return seen[group_of]

    def groups(self, *, near: bool = True) -> list[NDArray[np.int64]]:
        """List the rows of each group of at least two images; see `twins` for ``near``."""
        group_of = self.near if near else self.exact
        order = np.argsort(group_of, kind="stable")
        ends = np.cumsum(np.bincount(group_of))[:-1]
        return [rows for rows in np.split(order, ends) if len(rows) > 1]


def find_duplicates(
    images: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None
) -> Duplicates:
    """Group equal and nearly equal images.

    Near duplicates have hashes that differ in at most `HASH_DISTANCE` bits and thumbnails that
    correlate by at least `CORRELATION`; twins of twins are twins.

    Args:
        images: uint8 [N, H, W] grey or [N, H, W, 3] RGB; may be a memory map.
        valid: bool [N], false for rows that hold no image and are nobody's twin; None for all.

    Reference:
        The hash is dHash (Krawetz, 2013): whether each cell of 8x9 is darker than its right
        neighbour.
    """
    count = len(images)
    digests = np.zeros((count, 2), np.uint64)
    hashes = np.zeros(count, np.uint64)

    def describe(row: int) -> None:
        image = np.ascontiguousarray(images[row])
        digest = hashlib.blake2b(image.data, digest_size=16).digest()
        digests[row] = np.frombuffer(digest, np.uint64)
        hashes[row] = difference_hash(grey(image))

    rows = np.arange(count) if valid is None else np.flatnonzero(valid)
    for_each(rows.tolist(), describe, "looking for duplicates", delay=2.0)

    _, first, exact_of = np.unique(digests[rows], axis=0, return_index=True, return_inverse=True)
    exact = np.arange(count) + len(first)  # an invalid row is a group of its own
    exact[rows] = exact_of.reshape(-1)
    some = rows[first]
    left, right = _alike(images, some, *_near_hashes(hashes[some]))
    links = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(len(some), len(some)))
    _, near_of = connected_components(links, directed=False)
    near = exact.copy()
    near[rows] = near_of[exact[rows]]
    return Duplicates(_numbered(exact), _numbered(near))


def difference_hash(image: NDArray[np.uint8]) -> int:
    """Hash a grey picture [H, W] to 64 bits; pictures that look the same differ in few of them."""
    cells = cv2.resize(image, (9, 8), interpolation=cv2.INTER_AREA)
    darker = np.asarray(cells[:, :-1] < cells[:, 1:])
    return int.from_bytes(np.packbits(darker).tobytes(), "big")


def open_duplicates(cache: Cache) -> Duplicates:
    """Group the images of a cache, its array `image`, or read what was found before."""

    def find() -> NDArray[np.int64]:
        found = find_duplicates(cache.arrays["image"], cache.valid)
        return np.stack([found.exact, found.near])

    name = f"duplicates_{code_digest(sys.modules[__name__])[:12]}.npy"
    return Duplicates(*cache.read_or_compute(name, find))


def _near_hashes(hashes: NDArray[np.uint64]) -> Pairs:
    """Find the pairs of hashes that differ in at most `HASH_DISTANCE` bits.

    Of the four quarters of two such hashes at least one differs in at most one bit, so only hashes
    that share such a quarter are compared: of a million, one pair in a thousand.
    """
    found = [np.empty(0, np.int64)]
    for shift in range(0, 64, 16):
        quarter = (hashes >> np.uint64(shift)).astype(np.uint16)
        order = np.argsort(quarter, kind="stable")
        starts = np.searchsorted(quarter[order], np.arange(2**16 + 1))
        for change in (0, *(1 << bit for bit in range(16))):
            wanted = quarter[order] ^ np.uint16(change)
            begin = starts[wanted]
            counts = starts[wanted.astype(np.int64) + 1] - begin
            ends = np.cumsum(counts)
            total = int(counts.sum())
            cuts = np.searchsorted(ends, np.arange(_CHUNK, total + _CHUNK, _CHUNK), side="left") + 1
            for low, high in pairwise([0, *np.unique(cuts).tolist()]):
                part = counts[low:high]
                behind = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part)
                left = np.repeat(order[low:high], part)
                right = order[np.repeat(begin[low:high], part) + behind]
                near = np.bitwise_count(hashes[left] ^ hashes[right]) <= HASH_DISTANCE
                near &= left < right  # each pair once, and nobody with itself
                found.append(left[near] * len(hashes) + right[near])
    left, right = np.divmod(np.unique(np.concatenate(found)), max(len(hashes), 1))
    return left, right


def _alike(images: NDArray[np.uint8], rows: NDArray[np.int64], left: _Rows, right: _Rows) -> Pairs:
    """Keep the pairs of rows whose thumbnails correlate."""
    needed, place = np.unique(np.concatenate([left, right]), return_inverse=True)
    thumbnails = np.zeros((len(needed), _THUMBNAIL, _THUMBNAIL), np.uint8)

    def shrink(number: int) -> None:
        light = grey(np.ascontiguousarray(images[rows[needed[number]]]))
        side = (_THUMBNAIL, _THUMBNAIL)
        thumbnails[number] = cv2.resize(light, side, interpolation=cv2.INTER_AREA)

    for_each(range(len(needed)), shrink, "comparing duplicates", delay=2.0)
    one, other = place.reshape(2, -1)
    alike = np.zeros(len(left), np.bool_)
    for start in range(0, len(left), 1 << 14):  # any number of pairs may look alike
        pair = slice(start, start + (1 << 14))
        found = _correlation(thumbnails[one[pair]], thumbnails[other[pair]])
        alike[pair] = found >= CORRELATION
    return left[alike], right[alike]


def _correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Correlate pictures [P, H, W] pair by pair; 0 where one of them is flat."""
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (one, other))
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    product = np.einsum("pi,pi->p", a, b)
    return np.asarray(np.divide(product, length, out=np.zeros_like(product), where=length > 0))


def _numbered(group_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number groups from 0 without gaps, in the order of their first images."""
    _, first, inverse = np.unique(group_of, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.reshape(-1)].astype(np.int64)
