#!/usr/bin/env bash
# Tesseract's PDF of a fax page at standard resolution is a sheet twice as wide
#
# Tesseract 5.3.0 (Debian 12). A page of letter size at standard resolution has 204 pixels per inch across and 98 down. Tesseract takes
# the resolution of the rows for both directions: its PDF has a sheet of 17.6 x 11 inches (1269.55 x 792 points), on which all is drawn
# out to double width. Expected: 8.47 x 11 inches (609.88 x 792 points), which tiff2pdf makes of the same file. So the text layer of a fax
# page has to be put by somebody else over a page of the right size.
. "$(dirname "$0")/lib/setup.bash"
debian tesseract-ocr=5.3.0-2 tesseract-ocr-eng=1:4.1.0-2 libtiff-tools=4.5.0-6+deb12u4 poppler-utils=22.12.0-2+deb12u3

cp "$FINDINGS/../testdata/letter-standard-g4.tiff" root/work/page.tif # 1728 x 1078 pixels
in_root tiffinfo page.tif | sed -n 's/^ *Resolution/page/p'
in_root tesseract page.tif tesseract pdf >tesseract.log 2>&1
in_root tiff2pdf -o tiff2pdf.pdf page.tif
sheet() { in_root pdfinfo "$1" | sed -n 's/^Page size: *//p'; }
expect tiff2pdf "609.882 x 792 pts" "$(sheet tiff2pdf.pdf)"
expect tesseract "1269.55 x 792 pts" "$(sheet tesseract.pdf)"
