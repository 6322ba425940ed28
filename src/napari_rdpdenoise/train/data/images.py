"""Image files of the training folders, and the windows that are cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.source import planes as plane_indices

_PICTURES = (".png", ".jpg", ".jpeg")
_SUFFIXES = (*_PICTURES, ".tif", ".tiff")


def read_plane(path: Path) -> NDArray[np.generic]:
    """The first plane of an image file (2-D); of a picture in colour the mean of its channels."""
    if path.suffix.lower() in _PICTURES:
        from skimage.io import imread

        image = imread(path)
        return image if image.ndim == 2 else image[..., :3].mean(-1)
    source = open_image(path)
    try:
        return source.read(plane_indices(source)[0], slice(0, source.shape[-2]), slice(0, source.shape[-1]))
    finally:
        source.close()


def read_stack(path: Path) -> NDArray[np.float32]:
    """All planes of a stack (planes, rows, columns), in their order in the file."""
    source = open_image(path)
    try:
        whole = slice(0, source.shape[-2]), slice(0, source.shape[-1])
        return np.stack([source.read(index, *whole) for index in plane_indices(source)]).astype(np.float32)
    finally:
        source.close()


def read_colours(path: Path) -> NDArray[np.float32]:
    """The three colours of a picture (3, rows, columns).

    Raises:
        ValueError: If it is none in colour.
    """
    from skimage.io import imread

    image = imread(path)
    if image.ndim != 3 or image.shape[-1] not in (3, 4):
        raise ValueError(
            f"sources: expected pictures in colour for kind 'colours', found {path} of shape {image.shape}; "
            "take kind 'clean' for grey ones"
        )
    return np.moveaxis(image[..., :3], -1, 0).astype(np.float32)


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, by name.

    Raises:
        FileNotFoundError: If there is no such folder or no image in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"sources: no folder {folder}; check --data and the config's folder names")
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES)
    if not files:
        raise FileNotFoundError(f"sources: {folder} holds no image ({', '.join(_SUFFIXES)})")
    return files


def partner_file(folder: Path, file: Path) -> Path:
    """The image of the same name in another folder, whatever its suffix.

    Raises:
        FileNotFoundError: If there is none.
    """
    for suffix in (file.suffix, *_SUFFIXES):
        if (folder / (file.stem + suffix)).is_file():
            return folder / (file.stem + suffix)
    raise FileNotFoundError(f"clean_folder: {folder} has no image named {file.stem}, the partner of {file}")


def random_crop(images: Sequence[NDArray], size: int, rng: np.random.Generator) -> list[NDArray]:
    """The same random window of all images: of two the one that varies more; padded where they are smaller.

    Args:
        images: Images (rows, columns) of one shape; the last one tells how much a window varies.
        size: Edge of the window, px.
        rng: Generator of the places.

    Returns:
        Windows (size, size), one for each image.
    """
    need = [max(0, size - n) for n in images[0].shape]
    images = list(images)
    if any(need):
        images = [np.pad(i, [(0, n) for n in need], mode="symmetric") for i in images]
    best: tuple[float, int, int] | None = None
    for _ in range(2):
        y, x = (int(rng.integers(n - size + 1)) for n in images[0].shape)
        lively = float(images[-1][y : y + size : 4, x : x + size : 4].std())
        best = max(best, (lively, y, x)) if best else (lively, y, x)
    assert best is not None
    _, y, x = best
    return [i[y : y + size, x : x + size] for i in images]


def resized(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """An image of another size: made smaller by means of areas, enlarged by cubic interpolation.

    Enlarged it is a scene that is sampled more finely, which means of areas would show as blocks. Values stay
    within those of the image. The image itself if it has that shape.
    """
    if image.shape == shape:
        return image
    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    small = min(image.shape[0], shape[0]), min(image.shape[1], shape[1])
    if image.shape != small:
        tensor = torch.nn.functional.interpolate(tensor, small, mode="area")
    if small != shape:
        low, high = tensor.aminmax()
        tensor = torch.nn.functional.interpolate(tensor, shape, mode="bicubic").clamp(low, high)
    return tensor[0, 0].numpy()
