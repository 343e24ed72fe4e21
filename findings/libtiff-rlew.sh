#!/usr/bin/env bash
# libtiff misreads compression 32771 (CCITT RLE, rows aligned to words) as soon as it has written it
#
# libtiff 4.5.0 (Debian 12). A page of ten equal rows is written with compression 32771 and read back with the same library. Only the first
# row is right: writer and reader do not agree on where a row begins. The reader says "Line length mismatch" as a warning only, and gives
# the wrong rows as success. With compression 2 (rows aligned to bytes) all rows come back. Expected: the same rows, or an error. So
# libtiff is no judge of files with compression 32771, and those that it writes can only be read by guessing.
. "$(dirname "$0")/lib/setup.bash"
debian libtiff6=4.5.0-6+deb12u4 libtiff-dev=4.5.0-6+deb12u4 gcc=4:12.2.0-3 libc6-dev

cat >root/work/rlew.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

int main(int argc, char **argv)
{
    unsigned char row[8] = {0x0f, 0xf0, 0xff, 0x00, 0xaa, 0x01, 0x02, 0x03}, got[8];
    TIFF *out = TIFFOpen("page.tif", "w"), *in;
    int right = 0;

    TIFFSetField(out, TIFFTAG_IMAGEWIDTH, 64);
    TIFFSetField(out, TIFFTAG_IMAGELENGTH, 10);
    TIFFSetField(out, TIFFTAG_ROWSPERSTRIP, 10);
    TIFFSetField(out, TIFFTAG_BITSPERSAMPLE, 1);
    TIFFSetField(out, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(out, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
    TIFFSetField(out, TIFFTAG_COMPRESSION, argc > 1 ? atoi(argv[1]) : 0);
    for (int y = 0; y < 10; y++)
        TIFFWriteScanline(out, row, y, 0);
    TIFFClose(out);
    in = TIFFOpen("page.tif", "r");
    for (int y = 0; y < 10; y++)
        right += TIFFReadScanline(in, got, y, 0) == 1 && memcmp(row, got, sizeof row) == 0;
    TIFFClose(in);
    printf("%d of 10 rows are right\n", right);
    return 0;
}
C
in_root gcc -o rlew rlew.c -ltiff
expect "compression 2    " "10 of 10 rows are right" "$(in_root ./rlew 2 2>/dev/null)"
expect "compression 32771" "1 of 10 rows are right" "$(in_root ./rlew 32771 2>/dev/null)"
