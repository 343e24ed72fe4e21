#!/bin/sh
# Makes the fax pages of this folder from page.ps. Needs Debian's ghostscript, libtiff-tools and fonts-urw-base35.
# The same versions of these give the same bytes: README.md has them and the checksums; `sha256sum -c SHA256SUMS` compares.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# raster FILE RES PIXELS KIND PAGE PAGES: one page, drawn, uncompressed, without the date that Ghostscript writes
raster() {
  gs -q -dNOPAUSE -dBATCH -dSAFER -dFIXEDMEDIA -sDEVICE=tiffg4 -r"$2" -g"$3" -sOutputFile="$tmp/drawn.tiff" \
    -c "/kind /$4 def /page $5 def /pages $6 def" -f page.ps
  tiffset -u 306 "$tmp/drawn.tiff"
  tiffset -u 305 "$tmp/drawn.tiff"
  tiffcp -L -c none "$tmp/drawn.tiff" "$tmp/$1"
}

# one strip a page, as fax software writes it: tiffcp turns -1 into the number of rows
whole=-1
g4()      { tiffcp -c g4 -r $whole "$tmp/$1" "$2"; }
g3()      { tiffcp -c g3:1d -f msb2lsb -r $whole "$tmp/$1" "$2"; }
g3_2d()   { tiffcp -c g3:2d -f msb2lsb -r $whole "$tmp/$1" "$2"; }
spandsp() { tiffcp -c g3:2d:fill -f lsb2msb -r $whole "$tmp/$1" "$2"; } # FreeSWITCH's library and its way of writing

rm -f ./*.tiff
raster a 204x98  1728x1078 prescription 1 1; g4 a letter-standard-g4.tiff; spandsp a letter-standard-g3-2d-fill-lsb.tiff
raster b 204x391 1728x4301 prescription 1 1; g4 b letter-superfine-g4.tiff
raster c 204x196 1728x2292 contract 1 1;     g4 c a4-fine-g4.tiff
raster d 204x196 1728x2744 filing 1 1;       g4 d legal-fine-g4.tiff; spandsp d legal-fine-g3-2d-fill-lsb.tiff

# the same raster in every coding of T.4 and T.6
raster e 204x196 1728x2156 prescription 1 1
g4 e letter-fine-g4.tiff; g3 e letter-fine-g3.tiff; g3_2d e letter-fine-g3-2d.tiff
spandsp e letter-fine-g3-2d-fill-lsb.tiff

# a whole fax: three sheets of different length
raster p1 204x196 1728x2156 prescription 1 3
raster p2 204x196 1728x2292 contract 2 3
raster p3 204x196 1728x2744 filing 3 3
tiffcp -c g4 -r $whole "$tmp/p1" "$tmp/p2" "$tmp/p3" three-pages-fine-g4.tiff
tiffcp -c g3:2d:fill -f lsb2msb -r $whole "$tmp/p1" "$tmp/p2" "$tmp/p3" three-pages-fine-g3-2d-fill-lsb.tiff

sha256sum ./*.tiff | sed 's| \./| |' > SHA256SUMS
