#!/usr/bin/env bash
# fax2tiff makes a page of Group 4 one row longer than it is
#
# libtiff 4.5.0 with poppler 22.12.0 (Debian 12). `pdfimages -ccitt` takes the code of a page out of a PDF and writes the options for
# fax2tiff beside it. fax2tiff with these options takes the end of the block (EOFB) for one more row, which is white. There is no warning.
# tiffcp, pdfimages -tiff and viewers count right. Expected: as many rows as the page has.
. "$(dirname "$0")/lib/setup.bash"
debian netpbm=2:11.01.00-2 libtiff-tools=4.5.0-6+deb12u4 libtiff6=4.5.0-6+deb12u4 poppler-utils=22.12.0-2+deb12u3

rows() { in_root tiffinfo "$1" | sed -n 's/.*Image Length: //p'; }
for height in 8 100 1143; do
  rm -f root/work/*
  bitmap 1728 "$height" 360 >root/work/page.pbm
  in_root pamtotiff -quiet -miniswhite -g4 -xresolution 204 -yresolution 196 -rowsperstrip "$height" -output page.tif page.pbm
  in_root tiff2pdf -o page.pdf page.tif
  in_root pdfimages -ccitt page.pdf code && in_root pdfimages -tiff page.pdf image
  in_root fax2tiff -o fax.tif $(cat root/work/code-000.params) code-000.ccitt
  expect "$height rows" "pdfimages -tiff $height, fax2tiff $((height + 1))" \
    "pdfimages -tiff $(rows image-000.tif), fax2tiff $(rows fax.tif)"
done
