#!/usr/bin/env bash
# golang.org/x/image/tiff shows a fax page whose zero is black as a negative
#
# golang.org/x/image v0.48.0. A Group 3 or Group 4 TIFF may say PhotometricInterpretation BlackIsZero: then the white runs of the code are
# the zeros, and zeros are black (TIFF 6.0, section 11). The decoder paints white runs white whatever the tag says, without an error: the
# page is a negative. Without compression it heeds the tag. Expected: what libtiff, netpbm, Pillow, Java and MuPDF show.
. "$(dirname "$0")/lib/setup.bash"
debian netpbm=2:11.01.00-2
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"golang.org/x/image/tiff"
)

func main() {
	f, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	page, err := tiff.Decode(f)
	if err != nil {
		panic(err)
	}
	dark, all := 0, page.Bounds()
	for y := all.Min.Y; y < all.Max.Y; y++ {
		for x := all.Min.X; x < all.Max.X; x++ {
			if r, _, _, _ := page.At(x, y).RGBA(); r < 0x8000 {
				dark++
			}
		}
	}
	fmt.Printf("%.1f %% dark", 100*float64(dark)/float64(all.Dx()*all.Dy()))
}
GO
go_program dark golang.org/x/image@v0.48.0

bitmap 1728 20 001 >root/work/page.pbm # one pixel of eight is black
shown() { # OPTIONS...: what part of the page is dark
  rm -f root/work/page.tif
  in_root pamtotiff -quiet "$@" -output page.tif page.pbm
  ./dark root/work/page.tif
}
read_back() { in_root tifftopnm -quiet page.tif | cmp -s - root/work/page.pbm && echo same || echo differs; }
expect "WhiteIsZero, Group 4       " "12.5 % dark" "$(shown -miniswhite -g4)"
expect "BlackIsZero, no compression" "12.5 % dark" "$(shown -minisblack -none)"
expect "BlackIsZero, Group 4       " "87.5 % dark" "$(shown -minisblack -g4)"
expect "the same, by netpbm        " same "$(read_back)"
