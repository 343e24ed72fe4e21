#!/usr/bin/env bash
# vips saves a short bilevel page as Deflate or LZW with status 0, and the file has no pixels
#
# libvips 8.14.1 with libtiff 4.5.0 (Debian 12). tiffsave's option predictor is "horizontal" by default, whatever the depth, and libtiff
# refuses a predictor for samples of one bit when it codes the first strip. A strip of vips has 128 rows. A page of 129 rows fails with
# "unix error: Unknown error". A page of up to 128 rows, such as a strip cut from a fax, is coded only when the file is closed, where the
# refusal is lost: vips ends with status 0 and prints nothing, and the strip has 0 bytes. With `--predictor none` both work.
# Expected: the pixels, or an error.
. "$(dirname "$0")/lib/setup.bash"
debian libvips-tools=8.14.1-3+deb12u3 libtiff6=4.5.0-6+deb12u4 libtiff-tools=4.5.0-6+deb12u4

saved() { # ROWS OPTIONS...: saves a page of so many rows; prints the status, and the sizes of the strips
  bitmap 1728 "$1" 360 >root/work/page.pbm
  rm -f root/work/out.tif
  if in_root vips tiffsave page.pbm out.tif --bitdepth 1 "${@:2}" >vips.log 2>&1; then printf 'status 0,'; else echo failed; return; fi
  [ ! -s vips.log ] || printf ' %s,' "$(head -n 1 vips.log)"
  in_root tiffinfo -s out.tif 2>/dev/null | sed -n 's/ *[0-9]*: \[ *[0-9]*, *\([0-9]*\)\]/\1/p' | paste -sd+ | sed 's/.*/ strips of & bytes/'
}
expect "128 rows, deflate --predictor none" "status 0, strips of 51 bytes" "$(saved 128 --compression deflate --predictor none)"
expect "129 rows, deflate                 " failed "$(saved 129 --compression deflate)"
expect "128 rows, deflate                 " "status 0, strips of 0 bytes" "$(saved 128 --compression deflate)"
expect "128 rows, lzw                     " "status 0, strips of 0 bytes" "$(saved 128 --compression lzw)"
