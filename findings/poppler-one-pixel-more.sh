#!/usr/bin/env bash
# poppler draws a page of exactly 1728 pixels at 200 per inch 1729 pixels wide
#
# poppler 22.12.0 (Debian 12). 1728 pixels at 200 per inch are 622.08 points. pdftoppm computes 622.08 * (200 / 72), which is
# 1728.0000000000002 in binary, and rounds up. A MediaBox that is a ten-thousandth of a point shorter gives 1728. Expected: 1728 for both.
. "$(dirname "$0")/lib/setup.bash"
debian poppler-utils=22.12.0-2+deb12u3

width() { # POINTS: how wide pdftoppm draws such a page at 200 per inch
  printf '%%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 %s 72]>>\nendobj\ntrailer\n<</Root 1 0 R/Size 4>>\n%%%%EOF\n' "$1" >root/work/in.pdf
  in_root pdftoppm -mono -singlefile -r 200 in.pdf out 2>/dev/null
  head -2 root/work/out.pbm | tail -1 | cut -d' ' -f1
}
expect "622.08 points   " 1729 "$(width 622.08)"
expect "622.0799 points " 1728 "$(width 622.0799)"
