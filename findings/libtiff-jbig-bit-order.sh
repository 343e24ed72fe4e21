#!/usr/bin/env bash
# A JBIG strip that says FillOrder 1 is stored with FillOrder 2 by libtiff
#
# libtiff 4.5.0 with jbigkit 2.1 (Debian 12). In compression 34661 the strip is a JBIG stream of T.82, whose first bytes say layers,
# planes, width, height and rows per stripe. tiffcp writes FillOrder 1 (most significant bit first) by default, and the bits of every
# byte of the strip are turned round; with FillOrder 2 asked for they are as T.82 has them. Libtiff reads both back right, because it
# makes the same mistake twice. Expected: with FillOrder 1 the strip is the stream of T.82. A reader that goes by the tag finds a page of
# 24,579 pixels in 128 planes: look at the header of the stream to learn the order.
. "$(dirname "$0")/lib/setup.bash"
debian libtiff-tools=4.5.0-6+deb12u4 libjbig0=2.1-6.1 netpbm=2:11.01.00-2

fax_page page.tif 1728 400 360
in_root tiffcp -c none -r 400 page.tif plain.tif
strip() { # FILL_ORDER: codes the page as JBIG with this, prints the tag and the first bytes of the strip
  in_root tiffcp -c jbig -f "$1" plain.tif jbig.tif
  in_root tifftopnm -quiet jbig.tif | cmp - root/work/page.pbm
  printf '%s: ' "$(in_root tiffinfo jbig.tif | sed -n 's/ *FillOrder: //p')"
  tail -c +9 root/work/jbig.tif | head -c 12 | od -An -tx1 | tr -d ' \n'
}
expect "default" "msb-to-lsb: 000080000000600300008009" "$(strip msb2lsb)"
expect "-f lsb2msb" "lsb-to-msb: 00000100000006c000000190" "$(strip lsb2msb)"
