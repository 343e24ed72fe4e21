#!/usr/bin/env bash
# pamtotiff -lsb2msb turns every eight pixels round
#
# netpbm 11.01.00 (Debian 12). pamtotiff has options for both values of FillOrder. With -lsb2msb it packs the pixels of a byte from the
# least significant bit on, and libtiff, which turns the bits itself as FillOrder 2 asks for, turns them a second time. The file is well
# formed and every reader shows each eight pixels mirrored: text looks like noise of the right darkness. Without compression and with
# Group 4 alike. Expected: the same picture as without the option.
. "$(dirname "$0")/lib/setup.bash"
debian netpbm=2:11.01.00-2

printf 'P4\n32 1\n\xf4\xdc\xf2\x01' >root/work/in.pbm
pixels() { # OPTIONS...: writes a TIFF with these, reads it with netpbm itself, prints the row
  rm -f root/work/out.tif
  in_root pamtotiff -quiet "$@" -output out.tif in.pbm
  in_root tifftopnm -quiet out.tif | tail -c 4 | od -An -tx1 | tr -d ' \n'
}
expect "source                " f4dcf201 "$(tail -c 4 root/work/in.pbm | od -An -tx1 | tr -d ' \n')"
expect "-g4                   " f4dcf201 "$(pixels -g4)"
expect "-g4 -lsb2msb          " 2f3b4f80 "$(pixels -g4 -lsb2msb)"
expect "-none -lsb2msb        " 2f3b4f80 "$(pixels -none -lsb2msb)"
