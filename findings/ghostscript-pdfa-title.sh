#!/usr/bin/env bash
# A parenthesis in the title makes Ghostscript give up PDF/A, while the file still says that it is one
#
# Ghostscript 10.00.0 (Debian 12). The title of a document is "Fax (copy)", which is legal in PostScript, PDF and XMP. With -dPDFA=2
# Ghostscript says "Text string detected in DOCINFO cannot be represented in XMP" and "reverting to normal PDF output": the status is 0,
# and the metadata of the file claim PDF/A-2b all the same. With -dPDFACompatibilityPolicy=1 the title is lost, with 2 nothing is made.
# The title "Fax copy" gives no message. Expected: the title, whose parentheses XMP does not even escape. Titles of faxes have numbers
# such as "(555) 0100": leave the parentheses out, and read the messages, not the status.
. "$(dirname "$0")/lib/setup.bash"
debian ghostscript=10.0.0~dfsg-11+deb12u9 poppler-utils=22.12.0-2+deb12u3

made() { # TITLE POLICY: status, the title in the file, what the file claims to be, what Ghostscript says
  local status=0
  printf '%%!PS\n[/Title (%s) /DOCINFO pdfmark\n72 72 moveto 100 100 lineto stroke showpage\n' "$1" >root/work/page.ps
  rm -f root/work/out.pdf
  in_root gs -q -dPDFA=2 -dPDFACompatibilityPolicy="$2" -dBATCH -dNOPAUSE -sColorConversionStrategy=RGB -sDEVICE=pdfwrite \
    -o out.pdf page.ps >gs.log 2>&1 || status=$?
  echo "status $status"
  if [ "$status" = 0 ]; then
    in_root pdfinfo out.pdf | grep '^Title' || echo "no title"
    grep -a -o "pdfaid:part='[0-9]'" root/work/out.pdf | head -n 1
  fi
  grep -o 'reverting to normal PDF output\|discarding DOCINFO\|aborting conversion' gs.log | head -n 1
}
title='Title:          '
expect "Fax copy" "status 0
$title Fax copy
pdfaid:part='2'" "$(made 'Fax copy' 0)"
expect "Fax (copy)" "status 0
$title Fax (copy)
pdfaid:part='2'
reverting to normal PDF output" "$(made 'Fax (copy)' 0)"
expect "Fax (copy), policy 1" "status 0
no title
pdfaid:part='2'
discarding DOCINFO" "$(made 'Fax (copy)' 1)"
