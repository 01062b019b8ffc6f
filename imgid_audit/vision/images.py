"""Image files to pixels: every common format and depth, the same pixels as Pillow, clean reasons for failures.

Grey and RGB JPEG files go through torchvision's decoder, which agrees with Pillow within one level
of 255; everything else goes through Pillow (torchvision decodes PNG no faster).
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

try:
    from torchvision.io import ImageReadMode, decode_jpeg
except ImportError:  # deprecated since torchvision 0.29: without it Pillow decodes JPEG too
    decode_jpeg = None

Image.init()
FORMATS = tuple(
    name
    for name in ("JPEG", "MPO", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000", "AVIF")
    if name in Image.OPEN  # some need libraries that Pillow may be built without
)
"""Formats that are opened; others are refused: some of Pillow's readers start other programs."""

DECODER = 1
"""Version of the rules below, part of the key of predictions: raise it when a pixel may change."""

_SIXTEEN_BITS = 65535

warnings.filterwarnings("ignore", message="The image decoding and encoding", category=DeprecationWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of oddities that Pillow can read
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


class UndecodableError(ValueError):
    """A file that gives no pixels. `reason` is short, one line, and the same from run to run."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(path: Path) -> torch.Tensor:
    """Pixels of an image file: uint8 of shape (1, H, W) for grey images, else (3, H, W) in RGB.

    EXIF orientation is applied. 16-bit grey is scaled from the full range of 16 bits to 8. Palettes
    are expanded, CMYK and other colour spaces converted as Pillow does; an alpha channel is dropped,
    as the usual loaders do that classifiers were trained with. Of several frames the first counts.
    Raises `UndecodableError`: missing, unreadable or truncated files, other formats, more pixels
    than `PIL.Image.MAX_IMAGE_PIXELS` (decompression bombs), and 32-bit grey, whose range no file
    declares.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UndecodableError(_unreadable(error)) from None
    return decode_bytes(data)


def decode_bytes(data: bytes) -> torch.Tensor:
    """As `decode`, of a file's content."""
    if not data:
        raise UndecodableError("empty file")
    # Other libraries switch this on for the whole process (WeasyPrint does when it is imported): half
    # an image would then be predicted as if it were whole.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _refuse_bomb(image)
            pixels = _fast(image, data)
            return pixels if pixels is not None else _from_pillow(image)
    except UndecodableError:
        raise
    except UnidentifiedImageError:
        raise UndecodableError("not an image of a known format") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UndecodableError("too many pixels (decompression bomb)") from None
    except Exception as error:  # damaged files make Pillow raise almost anything: it costs one row, not the run
        raise UndecodableError(_reason(error)) from None


def _refuse_bomb(image: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise UndecodableError(f"{image.width}x{image.height} pixels, more than {limit} (decompression bomb)")


def _fast(image: Image.Image, data: bytes) -> torch.Tensor | None:
    """Pixels of a grey or RGB JPEG from torchvision's decoder, or None where Pillow has to do it."""
    # Pillow also reads an orientation from XMP, torchvision from EXIF alone.
    oriented_by_xmp = b"Orientation" in image.info.get("xmp", b"")
    if decode_jpeg is None or image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB") or oriented_by_xmp:
        return None
    buffer = torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())  # torch wants memory that may be written
    try:
        return decode_jpeg(buffer, ImageReadMode.UNCHANGED, apply_exif_orientation=True)
    except RuntimeError:
        return None  # Pillow may know better, and says what is wrong in fewer words


def _from_pillow(image: Image.Image) -> torch.Tensor:
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I") or upright.mode == "F":
        pixels = _scaled(upright)[:, :, None]
    elif upright.mode in ("1", "L", "LA", "La"):
        pixels = np.asarray(upright.convert("L"))[:, :, None]
    else:
        pixels = np.asarray(upright.convert("RGB"))
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())  # a copy: Pillow's memory may not be written


def _scaled(image: Image.Image) -> np.ndarray:
    """16-bit grey as 8-bit, rounded to the nearest level."""
    if image.mode == "F":
        raise UndecodableError("floating-point pixels have no declared range: convert to 8- or 16-bit")
    values = np.asarray(image).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > _SIXTEEN_BITS):
        raise UndecodableError("32-bit pixels have no declared range: convert to 8- or 16-bit")
    return ((values * 255 + _SIXTEEN_BITS // 2) // _SIXTEEN_BITS).astype(np.uint8)


def _unreadable(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "file not found"
    return f"cannot be read: {error.strerror or type(error).__name__}"


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0].strip() if str(error).strip() else ""
    if "truncated" in text.lower():
        return "truncated file"
    return f"damaged image ({text[:120] or type(error).__name__})"
