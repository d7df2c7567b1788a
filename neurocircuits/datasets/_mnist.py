"""MNIST: 70 000 handwritten digits of 28 x 28 pixels, from the four canonical files."""

from __future__ import annotations

from typing import Literal

from neurocircuits.datasets._fetch import locate
from neurocircuits.datasets._idx import read_idx
from neurocircuits.datasets.dataset import Dataset
from neurocircuits.errors import DataError, ValidationError

# The mirrors come first because they serve https; the checksums make the order a matter of speed only.
ADDRESSES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
HASHES = {
    "train-images-idx3-ubyte.gz": "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
PREFIXES = {"train": "train", "test": "t10k"}
IMAGE_SHAPE = (28, 28)


def mnist(part: Literal["train", "test"] = "train", *, download: bool = True, dtype: str = "float64") -> Dataset:
    """Load the MNIST digits, downloading the files once if they are not on this machine.

    Files are looked for in ``NEUROCIRCUITS_DATA/mnist``, then in the cache, and are used only with their checksums.
    They stay bytes in memory (47 MB for the training part); ``values`` of the rows asked for are scaled to 0 to 1.

    Parameters
    ----------
    part : {"train", "test"}
        60 000 or 10 000 digits, in the order of the files.
    download : bool
        Whether missing files may be downloaded.
    dtype : {"float64", "float32"}
        Type of the values.

    Returns
    -------
    Dataset
        784 pixels in 0 to 1 (background 0), labels 0 to 9 (uint8).

    Raises
    ------
    DataError
        If the files cannot be had or are damaged; the message says how to get them.
    ValidationError
        If there is no such part.

    References
    ----------
    LeCun Y, Bottou L, Bengio Y, Haffner P (1998) Gradient-based learning applied to document recognition.
    Proceedings of the IEEE 86:2278-2324, doi:10.1109/5.726791.
    """
    if part not in PREFIXES:
        raise ValidationError(f"mnist: part {part!r} does not exist. Choose from: {', '.join(PREFIXES)}.")
    files = [f"{PREFIXES[part]}-images-idx3-ubyte.gz", f"{PREFIXES[part]}-labels-idx1-ubyte.gz"]
    image_path, label_path = locate("mnist", files, ADDRESSES, HASHES, download=download)
    images, labels = read_idx(image_path, 3), read_idx(label_path, 1)
    if images.shape[1:] != IMAGE_SHAPE or len(images) != len(labels):
        raise DataError(
            f"{image_path} holds images of shape {images.shape} and {label_path} {len(labels)} labels; expected "
            f"{IMAGE_SHAPE[0]} x {IMAGE_SHAPE[1]} pixels and a label for each image. The files do not belong together."
        )
    return Dataset(
        name=f"mnist {part}",
        stored=images.reshape(len(images), -1),
        labels=labels,
        image_shape=IMAGE_SHAPE,
        scale=1 / 255,
        dtype=dtype,
        source="MNIST database of handwritten digits, http://yann.lecun.com/exdb/mnist/; no terms stated there",
        citation="LeCun, Bottou, Bengio, Haffner (1998) Proceedings of the IEEE 86:2278-2324, doi:10.1109/5.726791",
    )
