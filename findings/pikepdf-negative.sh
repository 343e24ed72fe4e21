#!/usr/bin/env bash
# pikepdf takes a fax page out of img2pdf's PDF as a negative
#
# pikepdf 6.0.0 with img2pdf 0.4.4 (Debian 12). img2pdf puts a Group 3 page into a PDF as Group 4 with BlackIs1 true, and a Group 4 page
# as it is with BlackIs1 false. PdfImage.extract_to writes the stream's bytes behind a TIFF header that does not heed BlackIs1: the first is
# a negative, without an error. Viewers and pdfimages show both right. Expected: the pixels of the page.
. "$(dirname "$0")/lib/setup.bash"
debian img2pdf=0.4.4-3 python3-pikepdf=6.0.0+dfsg-1+b2 netpbm=2:11.01.00-2 libtiff-tools=4.5.0-6+deb12u4 poppler-utils=22.12.0-2+deb12u3

cat >root/work/extract.py <<'PYTHON'
import sys
import pikepdf

with pikepdf.open(sys.argv[1]) as pdf:
    (image,) = pdf.pages[0].images.values()
    pikepdf.PdfImage(image).extract_to(fileprefix="extracted")
PYTHON
bitmap 1728 200 001 >root/work/page.pbm
bitmap 1728 200 376 >root/work/negative.pbm
in_root pamtotiff -quiet -miniswhite -g4 -xresolution 204 -yresolution 196 -rowsperstrip 200 -output g4.tif page.pbm
in_root tiffcp -c g3:1d g4.tif g3.tif

told() { in_root tifftopnm -quiet "$1" >read.pbm && for n in page negative; do cmp -s read.pbm "root/work/$n.pbm" && echo "$n"; done; }
extracted() { # NAME: from the PDF of NAME.tif, by pikepdf and by pdfimages
  in_root img2pdf -o "$1.pdf" "$1.tif" >img2pdf.log 2>&1
  in_root python3 extract.py "$1.pdf" && in_root pdfimages -tiff "$1.pdf" poppler
  echo "$(told extracted.tif), pdfimages $(told poppler-000.tif)"
}
expect "Group 4" "page, pdfimages page" "$(extracted g4)"
expect "Group 3" "negative, pdfimages page" "$(extracted g3)"
