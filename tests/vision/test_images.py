"""Decoding against Pillow itself, and what happens to files that are damaged, hostile or odd."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, ImageOps

from imgid_audit.vision import images
from imgid_audit.vision.images import UndecodableError, decode, decode_bytes


def picture(mode: str = "RGB", size: tuple[int, int] = (53, 37)) -> Image.Image:
    """A smooth picture with some noise: unequal sides and no symmetry, so that any turn shows."""
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noisy = np.clip(np.asarray(coarse) + rng.normal(0, 5, (size[1], size[0], 3)), 0, 255).astype(np.uint8)
    image = Image.fromarray(noisy)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(rng.integers(0, 256, (size[1], size[0]), dtype=np.uint8)))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oracle(data: bytes) -> np.ndarray:
    """Pillow's own pixels, (channels, H, W)."""
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image)
        grey = upright.mode in ("1", "L", "LA")
        pixels = np.asarray(upright.convert("L" if grey else "RGB"))
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


CASES: dict[str, Callable[[], bytes]] = {
    "jpeg rgb 4:2:0": lambda: encoded(picture(), "JPEG", quality=80),
    "jpeg rgb 4:4:4": lambda: encoded(picture(), "JPEG", quality=95, subsampling="4:4:4"),
    "jpeg progressive": lambda: encoded(picture(), "JPEG", progressive=True),
    "jpeg grey": lambda: encoded(picture("L"), "JPEG"),
    "jpeg cmyk": lambda: encoded(picture("CMYK"), "JPEG"),
    "jpeg of one pixel": lambda: encoded(picture(size=(1, 1)), "JPEG"),
    "png grey": lambda: encoded(picture("L"), "PNG"),
    "png rgb": lambda: encoded(picture(), "PNG"),
    "png palette": lambda: encoded(picture("P"), "PNG"),
    "png palette transparent": lambda: encoded(picture("P"), "PNG", transparency=3),
    "png rgb transparent": lambda: encoded(picture(), "PNG", transparency=(1, 2, 3)),
    "png rgba": lambda: encoded(picture("RGBA"), "PNG"),
    "png grey alpha": lambda: encoded(picture("LA"), "PNG"),
    "png 1 bit": lambda: encoded(picture("1"), "PNG"),
    "tiff rgb": lambda: encoded(picture(), "TIFF"),
    "tiff lzw grey": lambda: encoded(picture("L"), "TIFF", compression="tiff_lzw"),
    "tiff cmyk": lambda: encoded(picture("CMYK"), "TIFF"),
    "bmp": lambda: encoded(picture(), "BMP"),
    "gif": lambda: encoded(picture("P"), "GIF"),
    "webp": lambda: encoded(picture(), "WEBP", lossless=True),
    "ppm": lambda: encoded(picture(), "PPM"),
}


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_pillows(case: str) -> None:
    data = CASES[case]()
    pixels, expected = decode_bytes(data), oracle(data)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == expected.shape
    assert np.abs(pixels.numpy().astype(int) - expected).max() <= 1


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("jpeg")])
def test_without_torchvisions_decoder_pillow_decodes(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = CASES[case]()
    fast = decode_bytes(data)
    monkeypatch.setattr(images, "decode_jpeg", None)
    assert int((decode_bytes(data).int() - fast.int()).abs().max()) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(picture(), kind, exif=exif, **options)
    expected = oracle(data)
    assert expected.shape[1:] == ((37, 53) if orientation < 5 else (53, 37))
    pixels = decode_bytes(data).numpy().astype(int)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() <= 1


def test_xmp_orientation_counts_as_in_pillow() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><tiff:Orientation>6</tiff:Orientation></rdf:RDF></x:xmpmeta>'
    data = encoded(picture(), "JPEG", xmp=xmp)
    assert decode_bytes(data).shape == oracle(data).shape == (3, 53, 37)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_uses_the_full_range(kind: str) -> None:
    values = np.array([[0, 128, 257, 32768, 65535]], dtype=np.uint16)
    pixels = decode_bytes(encoded(Image.fromarray(values), kind))
    assert pixels.tolist() == [[[0, 0, 1, 128, 255]]]  # value * 255 / 65535 to the nearest


def test_big_endian_sixteen_bit_tiff() -> None:
    values = np.array([[0, 257, 65535]], dtype=">u2")
    data = encoded(Image.frombytes("I;16B", (3, 1), values.tobytes()), "TIFF")
    assert decode_bytes(data).tolist() == [[[0, 1, 255]]]


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [(np.ones((2, 2), dtype=np.float32), "floating-point"), (np.full((2, 2), 70_000, dtype=np.int32), "32-bit")],
)
def test_pixels_without_a_declared_range_are_refused(pixels: np.ndarray, reason: str) -> None:
    with pytest.raises(UndecodableError, match=reason):
        decode_bytes(encoded(Image.fromarray(pixels), "TIFF"))


def test_first_frame_of_several() -> None:
    first, second = picture("L"), ImageOps.invert(picture("L"))
    data = encoded(first, "TIFF", save_all=True, append_images=[second])
    assert np.array_equal(decode_bytes(data)[0].numpy(), np.asarray(first))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF"])
def test_truncated_file(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # as WeasyPrint leaves it for a second audit in one process
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(picture("L" if kind == "GIF" else "RGB", (300, 200)), kind)
    with pytest.raises(UndecodableError):
        decode_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"not an image at all", "not an image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image of a known format"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "."),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "."),
    ],
)
def test_garbage(data: bytes, reason: str) -> None:
    with pytest.raises(UndecodableError, match=reason):
        decode_bytes(data)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_every_damaged_byte_gives_pixels_or_a_clean_reason() -> None:
    rng = np.random.default_rng(0)
    originals = [CASES[case]() for case in ("jpeg rgb 4:2:0", "png palette", "tiff lzw grey", "gif")]
    for data in originals:
        for _ in range(60):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), 4):
                damaged[place] = rng.integers(0, 256)
            outcome = pixels_or_reason(bytes(damaged))
            if isinstance(outcome, str):
                assert "\n" not in outcome
                assert "0x" not in outcome  # an address would differ from run to run
                assert 0 < len(outcome) < 160
            else:
                assert outcome.dtype == torch.uint8
                assert outcome.shape[0] in (1, 3)


def pixels_or_reason(data: bytes) -> torch.Tensor | str:
    try:
        return decode_bytes(data)
    except UndecodableError as error:
        return error.reason


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("limit", [1000, 600])  # above it Pillow warns, above twice it Pillow raises
def test_decompression_bomb(kind: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(picture(size=(40, 40)), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever the caller's filters say
        with pytest.raises(UndecodableError, match="decompression bomb"):
            decode_bytes(data)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UndecodableError, match=r"^file not found$"):
        decode(tmp_path / "none.png")
    with pytest.raises(UndecodableError, match=r"^cannot be read: Is a directory$"):
        decode(tmp_path)
