#!/usr/bin/env bash
# Ghostscript drops the Info dictionary in PDF/A when a text in it has a bracket or a backslash, though XMP can hold both
#
# Ghostscript 10.00.0 (Debian 12), pdfwrite with -dPDFA=2. A string with an escape, such as (a \(b\)), "cannot be represented in XMP": title
# and author are gone from the result. The same text without brackets is kept. Expected: all three titles are kept, since XML holds them.
. "$(dirname "$0")/lib/setup.bash"
debian ghostscript=10.0.0~dfsg-11+deb12u9 poppler-utils=22.12.0-2+deb12u3

title() { # TEXT, as it is written in the PDF: the title after Ghostscript has made PDF/A of it
  local file=$'%PDF-1.7\n' xref=$'0000000000 65535 f \n' n=0 body
  for body in '<</Type/Catalog/Pages 2 0 R>>' '<</Type/Pages/Kids[3 0 R]/Count 1>>' \
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Resources<<>>>>' "<</Title($1)>>"; do
    n=$((n + 1))
    xref+=$(printf '%010d 00000 n ' ${#file})$'\n'
    file+="$n 0 obj"$'\n'"$body"$'\n'"endobj"$'\n'
  done
  printf '%sxref\n0 5\n%strailer\n<</Size 5/Root 1 0 R/Info 4 0 R>>\nstartxref\n%d\n%%%%EOF\n' "$file" "$xref" ${#file} >root/work/in.pdf
  in_root gs -q -dPDFA=2 -dPDFACompatibilityPolicy=1 -dBATCH -dNOPAUSE -sDEVICE=pdfwrite -sColorConversionStrategy=RGB -o out.pdf in.pdf >/dev/null 2>&1
  in_root pdfinfo out.pdf | sed -n 's/^Title: *//p'
}
expect "the title 'Fax x, partial' becomes  " "Fax x, partial" "$(title 'Fax x, partial')"
expect "the title 'Fax x (partial)' becomes " "" "$(title 'Fax x \(partial\)')"
expect "the title 'Fax \\ x' becomes         " "" "$(title 'Fax \\ x')"
