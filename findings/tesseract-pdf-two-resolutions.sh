#!/usr/bin/env bash
# Tesseract's PDF of a fax page at standard resolution is a sheet twice as wide
#
# Tesseract 5.3.0 (Debian 12). A letter page at standard resolution has 204 pixels per inch across and 98 down, and is 8.47 x 11 inches.
# `tesseract page.tif out pdf` takes one resolution, that of the rows, for both directions: the sheet is 17.6 x 11 inches and all on it is
# drawn out to double width. Expected: the size that both tags give, as tiff2pdf makes it. A text layer for fax pages has to be put over a
# page that somebody else makes.
. "$(dirname "$0")/lib/setup.bash"
debian tesseract-ocr=5.3.0-2 tesseract-ocr-eng=1:4.1.0-2 tesseract-ocr-osd=1:4.1.0-2 netpbm=2:11.01.00-2 libtiff-tools=4.5.0-6+deb12u4 poppler-utils=22.12.0-2+deb12u3

{ bitmap 1728 478 0; head -c $((216 * 600)) /dev/zero | tr '\0' '\000'; } | sed '1,2s/^1728 478$/1728 1078/' >root/work/page.pbm
