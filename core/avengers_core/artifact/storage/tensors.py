"""One safetensors file of arrays, checked before it is read into memory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.common.files import MIB, open_regular
from avengers_core.errors import ArtifactError

# Arrays for 100,000 clusters of a hundred thousand names fit.
_MOST_BYTES = 4096 * MIB
_MOST_HEADER = 16 * MIB


def read(file: Path) -> bytes:
    """The content of a safetensors file, once its size is known to be what its header says.

    The format: eight bytes with the length of the header, little-endian; the header, in JSON,
    that says where each array lies in what follows.
    """
    with open_regular(file, _MOST_BYTES) as stream:
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if length > min(size, _MOST_HEADER):
            raise ArtifactError(f"{file} is damaged: its header cannot be {length:,} bytes long")
        header = stream.read(length)
        try:
            ends = [
                array["data_offsets"][1]
                for name, array in json.loads(header).items()
                if name != "__metadata__"
            ]
            announced = 8 + length + max(ends, default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            raise ArtifactError(f"{file} is damaged: its header cannot be read") from None
        if size != announced:
            raise ArtifactError(
                f"{file} is damaged: it has {size:,} bytes, its header says {announced:,}"
            )
        return start + header + stream.read(size)


def serialize(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    """The content of a safetensors file of these arrays, the same for the same arrays."""
    from safetensors.numpy import save as to_bytes

    # safetensors writes the memory as it lies: a transposed array would come back scrambled.
    payload: bytes = to_bytes({k: np.ascontiguousarray(v) for k, v in sorted(arrays.items())})
    return payload


def deserialize(payload: bytes, file: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of what was read from a file, none of which can be written to."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        arrays: dict[str, npt.NDArray[Any]] = from_bytes(payload)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ArtifactError(f"{file}: the arrays cannot be read ({error})") from None
    for array in arrays.values():
        array.setflags(write=False)
    return arrays
