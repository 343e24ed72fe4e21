#!/usr/bin/env bash
# libtiff 4.5.0 refuses a Group 3 page that it wrote itself: rows that change at every pixel
#
# libtiff 4.5.0 (Debian 12). A row of 1,728 pixels, black and white in turn, as a dithered gray area has, is legal in T.4 and takes one code
# for each pixel. Libtiff writes it as Group 3. Reading it back, it says "Buffer overflow" (a check of its own, no memory is harmed) and gives
# no row of the page. It has room for the runs of a row of so many pixels, but a row that begins black has one run more: white, of no
# pixels. The row that begins white reads back, and the same picture in Group 4. Expected: the same picture.
. "$(dirname "$0")/lib/setup.bash"
debian libtiff6=4.5.0-6+deb12u4 netpbm=2:11.01.00-2

read_back() { # BYTE OPTION...: writes a page of such bytes and reads it
  bitmap 1728 4 "$1" >root/work/in.pbm
  rm -f root/work/out.tif
  in_root pamtotiff -quiet -miniswhite "${@:2}" -output out.tif in.pbm
  if in_root tifftopnm -quiet out.tif >out.pbm 2>err && cmp -s out.pbm root/work/in.pbm; then echo same; else head -n 1 err; fi
}
expect "white first, Group 3" same "$(read_back 125 -g3)"
expect "black first, Group 4" same "$(read_back 252 -g4)"
expect "black first, Group 3" "Fax3Decode1D: Buffer overflow at line 0 of strip 0." "$(read_back 252 -g3)"
