#!/usr/bin/env bash
# pdftoppm draws a fax page of 1728 columns with 1729
#
# poppler 22.12.0 (Debian 12). A page of 1728 columns at 200 per inch is a sheet of 622.08 points in the PDF that tiff2pdf makes of it.
# pdftoppm at 200 per inch draws 1729 columns, and stretches the page over them, so that pixels of the fax are no pixels of the
# image any more; MuPDF draws 1728. 622.08 x 200 / 72 is a little more than 1728 in binary floating point, and pdftoppm rounds up.
# So whoever makes PDFs of fax pages ends the sheet a ten thousandth of a point before the edge if pixels are to stay pixels.
. "$(dirname "$0")/lib/setup.bash"
debian poppler-utils=22.12.0-2+deb12u3 mupdf-tools=1.21.1+ds2-1+deb12u1 libtiff-tools=4.5.0-6+deb12u4 netpbm=2:11.01.00-2

bitmap 1728 2200 125 >root/work/page.pbm
in_root pamtotiff -quiet -miniswhite -g4 -xresolution 200 -yresolution 200 -output page.tif page.pbm
in_root tiff2pdf -o page.pdf page.tif
expect sheet "622.08 x 792 pts" "$(in_root pdfinfo page.pdf | sed -n 's/^Page size: *//p')"
in_root pdftoppm -mono -r 200 -singlefile page.pdf poppler
in_root mutool draw -q -r 200 -o mupdf.pbm page.pdf >mutool.log 2>&1
columns() { sed -n '2s/ .*//p;2q' "root/work/$1"; }
expect poppler 1729 "$(columns poppler.pbm)"
expect mupdf 1728 "$(columns mupdf.pbm)"
