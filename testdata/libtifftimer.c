/*
 * libtifftimer: how long libtiff takes for one bilevel page, in memory.
 *
 *   cc -O2 -o libtifftimer libtifftimer.c -ltiff
 *   ./libtifftimer RASTER WIDTH HEIGHT CODING RUNS STRIP
 *
 * RASTER is a file of packed rows, (WIDTH+7)/8 bytes each, most significant bit
 * first, 1 is black. CODING is g4, g3-1d or g3-2d (every fourth row
 * one-dimensional, no fill bits). The page is encoded RUNS times as a single
 * strip and decoded RUNS times, and what was decoded is compared with RASTER.
 * The strip is written to the file STRIP, for others to decode.
 *
 * Printed is one line: the minimum and the median of the decoding times and the
 * same of the encoding times, in microseconds of processor time (other work on the
 * machine does not count), and the bytes of the strip. Exit
 * code 1 says that something failed, with the reason on stderr.
 *
 * Only TIFFReadEncodedStrip and TIFFWriteEncodedStrip are timed: opening and
 * closing files is left out, in libtiff's favour. Input is given as mapped
 * memory, so that it is not copied; output is memory that is already touched.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tiffio.h>

static void fail(const char *what)
{
	fprintf(stderr, "libtifftimer: %s\n", what);
	exit(1);
}

/* A TIFF file in memory, for TIFFClientOpen. */
struct memory {
	unsigned char *bytes;
	toff_t size, pos, capacity;
};

static tmsize_t mem_read(thandle_t h, void *dst, tmsize_t n)
{
	struct memory *m = h;
	toff_t left = m->pos < m->size ? m->size - m->pos : 0;

	if ((toff_t)n > left)
		n = (tmsize_t)left;
	memcpy(dst, m->bytes + m->pos, (size_t)n);
	m->pos += (toff_t)n;
	return n;
}

static tmsize_t mem_write(thandle_t h, void *src, tmsize_t n)
{
	struct memory *m = h;

	if (m->pos + (toff_t)n > m->capacity)
		fail("no room for the encoded page");
	memcpy(m->bytes + m->pos, src, (size_t)n);
	m->pos += (toff_t)n;
	if (m->pos > m->size)
		m->size = m->pos;
	return n;
}

static toff_t mem_seek(thandle_t h, toff_t offset, int whence)
{
	struct memory *m = h;

	if (whence == SEEK_CUR)
		offset += m->pos;
	else if (whence == SEEK_END)
		offset += m->size;
	return m->pos = offset;
}

static int mem_close(thandle_t h)
{
	(void)h;
	return 0;
}

static toff_t mem_size(thandle_t h)
{
	return ((struct memory *)h)->size;
}

static int mem_map(thandle_t h, void **base, toff_t *size)
{
	struct memory *m = h;

	*base = m->bytes;
	*size = m->size;
	return 1;
}

static void mem_unmap(thandle_t h, void *base, toff_t size)
{
	(void)h, (void)base, (void)size;
}

static TIFF *open_memory(struct memory *m, const char *mode)
{
	TIFF *t = TIFFClientOpen("memory", mode, m, mem_read, mem_write, mem_seek, mem_close, mem_size, mem_map, mem_unmap);

	if (t == NULL)
		fail("cannot open");
	return t;
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct page {
	unsigned char *pix;
	uint32_t width, height;
	tmsize_t size; /* of pix, in bytes */
	int compression, t4options;
};

/* Writes the page to m as a TIFF file of one strip and returns the time of the encoding. */
static double encode(const struct page *p, struct memory *m)
{
	TIFF *t;
	double start, took;

	m->size = m->pos = 0;
	t = open_memory(m, "w");
	TIFFSetField(t, TIFFTAG_IMAGEWIDTH, p->width);
	TIFFSetField(t, TIFFTAG_IMAGELENGTH, p->height);
	TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, p->height);
	TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 1);
	TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 1);
	TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
	TIFFSetField(t, TIFFTAG_COMPRESSION, p->compression);
	if (p->compression == COMPRESSION_CCITTFAX3)
		TIFFSetField(t, TIFFTAG_GROUP3OPTIONS, p->t4options);
	TIFFSetField(t, TIFFTAG_YRESOLUTION, 196.0); /* above 150: K is 4 */
	TIFFSetField(t, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
	start = now_us();
	if (TIFFWriteEncodedStrip(t, 0, p->pix, p->size) != p->size)
		fail("cannot encode");
	took = now_us() - start;
	TIFFClose(t);
	return took;
}

/* Reads the only strip of m into pix and returns the time of the decoding. */
static double decode(struct memory *m, unsigned char *pix, tmsize_t size)
{
	TIFF *t;
	double start, took;

	m->pos = 0;
	t = open_memory(m, "r");
	start = now_us();
	if (TIFFReadEncodedStrip(t, 0, pix, size) != size)
		fail("cannot decode");
	took = now_us() - start;
	TIFFClose(t);
	return took;
}

/* Writes the encoded strip of m to a file and returns its size in bytes. */
static tmsize_t save_strip(struct memory *m, const char *name)
{
	TIFF *t;
	FILE *f;
	tmsize_t n;
	unsigned char *strip = malloc((size_t)m->size);

	m->pos = 0;
	t = open_memory(m, "r");
	n = TIFFReadRawStrip(t, 0, strip, (tmsize_t)m->size);
	TIFFClose(t);
	f = fopen(name, "wb");
	if (n <= 0 || f == NULL || fwrite(strip, 1, (size_t)n, f) != (size_t)n || fclose(f) != 0)
		fail("cannot save the strip");
	free(strip);
	return n;
}

static void read_page(struct page *p, char **argv)
{
	FILE *f = fopen(argv[1], "rb");

	p->width = (uint32_t)atoi(argv[2]);
	p->height = (uint32_t)atoi(argv[3]);
	p->size = (tmsize_t)((p->width + 7) / 8) * p->height;
	p->pix = malloc((size_t)p->size);
	if (f == NULL || fread(p->pix, 1, (size_t)p->size, f) != (size_t)p->size)
		fail("cannot read the raster");
	fclose(f);
	p->compression = COMPRESSION_CCITTFAX3;
	p->t4options = 0;
	if (strcmp(argv[4], "g4") == 0)
		p->compression = COMPRESSION_CCITTFAX4;
	else if (strcmp(argv[4], "g3-2d") == 0)
		p->t4options = GROUP3OPT_2DENCODING;
	else if (strcmp(argv[4], "g3-1d") != 0)
		fail("CODING is g4, g3-1d or g3-2d");
}

int main(int argc, char **argv)
{
	struct page p;
	struct memory m = {0};
	unsigned char *pix;
	double *enc, *dec;
	int runs, i;

	if (argc != 7 || (runs = atoi(argv[5])) < 1)
		fail("usage: libtifftimer RASTER WIDTH HEIGHT CODING RUNS STRIP");
	read_page(&p, argv);
	m.capacity = (toff_t)p.size * 8 + (1 << 16);
	m.bytes = malloc((size_t)m.capacity);
	memset(m.bytes, 1, (size_t)m.capacity);
	pix = malloc((size_t)p.size);
	memset(pix, 1, (size_t)p.size);
	enc = calloc((size_t)runs, sizeof *enc);
	dec = calloc((size_t)runs, sizeof *dec);
	for (i = 0; i < runs; i++) {
		enc[i] = encode(&p, &m);
		dec[i] = decode(&m, pix, p.size);
		if (memcmp(pix, p.pix, (size_t)p.size) != 0)
			fail("the decoded raster differs");
	}
	qsort(enc, (size_t)runs, sizeof *enc, by_value);
	qsort(dec, (size_t)runs, sizeof *dec, by_value);
	printf("%.1f %.1f %.1f %.1f %ld\n", dec[0], dec[runs / 2], enc[0], enc[runs / 2], (long)save_strip(&m, argv[6]));
	return 0;
}
