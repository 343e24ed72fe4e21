#!/usr/bin/env bash
# ImageMagick 6 writes a gray page as MinIsWhite without inverting it, and reads back a negative
#
# ImageMagick 6.9.11-60 (Debian 12). `-define quantum:polarity=min-is-white` asks for PhotometricInterpretation 0, which is what fax
# software wants. For a bilevel image the samples are turned as the tag says. For a gray image the tag is written and the samples stay as
# they were: every reader, ImageMagick too, shows black for white. Expected: the same picture with either tag. Nothing in such a file tells
# it from a true negative.
. "$(dirname "$0")/lib/setup.bash"
debian imagemagick-6.q16=8:6.9.11.60+dfsg-1.6+deb12u15 libtiff-tools=4.5.0-6+deb12u4

printf 'P5\n4 1\n255\n\030\140\240\350' >root/work/gray.pgm
bitmap 32 1 360 >root/work/bilevel.pbm
seen() { # IN OPTIONS...: writes it with these, says the tag, and what ImageMagick itself reads back
  in_root convert-im6.q16 "$1" -compress None "${@:2}" tiff:out.tif
  in_root convert-im6.q16 out.tif -depth 8 gray:out.gray
  printf '%s ' "$(in_root tiffinfo out.tif | sed -n 's/ *Photometric Interpretation: //p')"
  head -c 4 root/work/out.gray | od -An -tx1 | tr -d ' \n'
}
white='-define quantum:polarity=min-is-white'
expect "gray 18 60 a0 e8                            " "min-is-black 1860a0e8" "$(seen gray.pgm)"
expect "gray 18 60 a0 e8, polarity=min-is-white     " "min-is-white e79f5f17" "$(seen gray.pgm $white)"
expect "bilevel, four black, polarity=min-is-white  " "min-is-white 00000000" "$(seen bilevel.pbm $white)"
