#!/usr/bin/env bash
# A page received without error correction has more or fewer rows than the page sent, and its count of bad rows is too low
#
# spandsp 0.0.6 (Debian 12), the fax library of FreeSWITCH and Asterisk. Some clicks of 4 ms on the line hit a page of 400 rows, coded in
# two dimensions (MR). Both sides report a good call, and the receiver's file is well formed: ImageLength agrees with the data and every
# row decodes, because the receiver codes them anew. But a click that hits an end of row joins two rows, and one that looks like an end
# makes two of one: with 8 clicks at 14,400 bit/s there are 401 rows, with 6 at 9,600 there are 399. BadFaxLines (tag 326) counts 3 and 4,
# while 12 and 10 of the rows sent are not in the file: what a click leaves often decodes to another row of the right width, and the rows
# coded as differences from it are wrong without being bad. Expected: 400 rows, and a count of bad rows that is not below the rows lost.
# So the number of rows is no proof of a whole page, and a small BadFaxLines is a lower bound.
. "$(dirname "$0")/lib/setup.bash"
debian libspandsp2=0.0.6+dfsg-2+b1 libspandsp-dev=0.0.6+dfsg-2+b1 gcc=4:12.2.0-3 libc6-dev netpbm=2:11.01.00-2 libtiff-tools=4.5.0-6+deb12u4
loopback

{ printf 'P4\n1728 400\n'; seq 20000 | tr -d '\n' >digits; head -c 86400 digits; } >root/work/sent.pbm
in_root pamtotiff -quiet -miniswhite -g4 -xresolution 204 -yresolution 196 -output sent.tif sent.pbm
rows() { tail -c +13 "$1" | od -An -v -w216 -tx1 | sort; }

call() { # OPTIONS...: rows received, rows that the receiver calls bad, rows sent that are nowhere in the file
  in_root ./loopback sent.tif received.tif "$@" >/dev/null
  in_root tifftopnm -quiet received.tif >received.pbm
  rows root/work/sent.pbm >sent.rows
  rows received.pbm >received.rows
  in_root tiffinfo received.tif | sed -n 's/.*Image Length: \([0-9]*\).*/\1 received/p; s/^ *Bad Fax Lines: \(.*\)/\1 bad/p' | paste -sd, | tr '\n' ','
  echo "$(comm -23 sent.rows received.rows | wc -l) lost"
}
expect "without clicks                 " "400 received,0 lost" "$(call)"
expect "8 clicks, V.17, 14,400 bit/s   " "401 received,3 bad,12 lost" "$(call clicks=8)"
expect "6 clicks, V.29, 9,600 bit/s    " "399 received,4 bad,10 lost" "$(call clicks=6 v29)"
expect "6 clicks, with error correction" "400 received,0 lost" "$(call clicks=6 ecm)"
