#!/usr/bin/env bash
# spandsp reports a sent fax although a gray page ends it early
#
# spandsp 0.0.6 (Debian 12), the fax library of FreeSWITCH and Asterisk. A file to send has three pages: black and white, gray, black and
# white. The first page is sent, the other two are not, and both sides report "OK" at the end of the call. Where the gray page comes
# first, the call fails, as expected. Expected: an error, or the count of pages that were not sent. A file to send on by fax has to be
# black and white in every page before it is given to spandsp.
. "$(dirname "$0")/lib/setup.bash"
debian libspandsp2=0.0.6+dfsg-2+b1 libspandsp-dev=0.0.6+dfsg-2+b1 gcc=4:12.2.0-3 libc6-dev netpbm=2:11.01.00-2 libtiff-tools=4.5.0-6+deb12u4
loopback

fax_page fax.tif 1728 400 360
{ printf 'P5\n1728 400\n255\n'; head -c $((1728 * 400)) /dev/zero | tr '\0' '\200'; } >root/work/gray.pgm
in_root pamtotiff -quiet -none -xresolution 204 -yresolution 196 -output gray.tif gray.pgm
in_root tiffcp fax.tif gray.tif fax.tif to-send.tif
in_root tiffcp gray.tif fax.tif gray-first.tif

call() { in_root ./loopback "$1" received.tif 2>&1 && echo "both sides: OK"; }
expect "pages to send              " 3 "$(in_root tiffinfo to-send.tif | grep -c '^=== TIFF directory')"
expect "black and white, gray, ... " "pages=1 ecm=0 bad_rows=0 longest=0
both sides: OK" "$(call to-send.tif)"
expect "gray first                 " 1 "$(call gray-first.tif | grep -c 'caller: TIFF/F file cannot be opened')"
