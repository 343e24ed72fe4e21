"""Pillow writes and reads TIFF for the matrix of tests.

pillow.py write MODE COMPRESSION OUT.tif IN.pnm...   each IN a page, turned into MODE, at 204 x 98 pixels per inch
pillow.py read IN.tif   writes page-1.pnm and so on; prints the pixels per inch of each page, across and down
"""
import sys

from PIL import Image, ImageSequence


def write(mode, compression, out, *pages):
    images = [Image.open(p).convert(mode) for p in pages]
    images[0].save(out, compression=compression, dpi=(204, 98), save_all=len(images) > 1, append_images=images[1:])


def read(path):
    for number, page in enumerate(ImageSequence.Iterator(Image.open(path)), 1):
        print(*(float(v) for v in page.info["dpi"]))
        page.convert("RGB").save(f"page-{number}.pnm")


{"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
