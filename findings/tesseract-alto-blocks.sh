#!/usr/bin/env bash
# Tesseract's TextBlocks in ALTO are paragraphs, not the blocks of its other formats
#
# Tesseract 5.3.0 (Debian 12), one run with four outputs, read as one block of text (--psm 6). The table (TSV) and hOCR say that the page
# has one block. ALTO of the same run has a TextBlock for each paragraph; the block itself is a ComposedBlock around them. Expected: the
# same number of blocks. So whoever compares layouts, or joins the words of a block, gets other units with ALTO than with hOCR: treat a
# TextBlock of Tesseract as a paragraph.
. "$(dirname "$0")/lib/setup.bash"
debian tesseract-ocr=5.3.0-2 tesseract-ocr-eng=1:4.1.0-2

cp "$FINDINGS/../testdata/letter-fine-g4.tiff" root/work/page.tif
in_root tesseract page.tif page --psm 6 tsv hocr alto >tesseract.log 2>&1
cd root/work
expect "blocks in the table" 1 "$(awk -F '\t' '$1 == 2' page.tsv | wc -l)"
expect "paragraphs in the table" 3 "$(awk -F '\t' '$1 == 3' page.tsv | wc -l)"
expect "ocr_carea in hOCR" 1 "$(grep -c "class='ocr_carea'" page.hocr)"
expect "ComposedBlock in ALTO" 1 "$(grep -c '<ComposedBlock ' page.xml)"
expect "TextBlock in ALTO" 3 "$(grep -c '<TextBlock ' page.xml)"
