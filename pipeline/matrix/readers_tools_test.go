package matrix_test

// tiffReaders are programs that show TIFF.
func tiffReaders() []reader {
	const perInch = "per inch"
	const tiffinfo = `
		tiffinfo $DOC | sed -n 's#.*Resolution: \(.*\), \(.*\) pixels/inch.*#\1 \2#p'`
	return []reader{
		{program: "tiffcp", debian: "libtiff-tools", name: "libtiff tiffcp", unit: perInch, line: `
		while read n rest; do tiffcp -c none $DOC,$((n-1)) one.tif; tifftopnm -quiet one.tif >page-$n.pnm; done <pages` + tiffinfo},
		{program: "tiff2rgba", debian: "libtiff-tools", name: "libtiff tiff2rgba", unit: perInch, line: `
		while read n rest; do
			tiffcp $DOC,$((n-1)) one.tif
			tiff2rgba -n -c none one.tif rgb.tif
			tifftopnm -quiet rgb.tif >page-$n.pnm
		done <pages` + tiffinfo},
		{program: "tifftopnm", debian: "netpbm", name: "netpbm", unit: perInch, line: `
		tifftopnm -quiet $DOC | pamsplit -quiet - from0-%d
		while read n rest; do mv from0-$((n-1)) page-$n.pnm; done <pages` + tiffinfo},
		{program: "/usr/bin/python3", debian: "python3-pil", name: "Pillow", unit: perInch, line: `/usr/bin/python3 $M/pillow.py read $DOC`},
		{
			program: "java", debian: "default-jre-headless", name: "Java ImageIO", unit: perInch,
			line: `java -cp $JAVA:/usr/share/java/pdfbox2.jar Pages read $DOC`,
		},
		{program: "vips", debian: "libvips-tools", name: "libvips", unit: "per mm", line: `
		while read n rest; do
			i="$DOC[page=$((n-1))]"
			vips colourspace "$i" page-$n.ppm srgb
			mv page-$n.ppm page-$n.pnm
			echo $(vipsheader -f xres "$i") $(vipsheader -f yres "$i")
		done <pages`},
		{program: "convert-im6.q16", debian: "imagemagick-6.q16", name: "ImageMagick", unit: perInch, line: `
		while read n rest; do convert-im6.q16 "$DOC[$((n-1))]" -depth 8 ppm:page-$n.pnm; done <pages
		identify-im6.q16 -units PixelsPerInch -format '%x %y\n' $DOC`},
		{program: "gm", debian: "graphicsmagick", name: "GraphicsMagick", unit: perInch, line: `
		while read n rest; do gm convert "$DOC[$((n-1))]" -type TrueColor ppm:page-$n.pnm; done <pages
		gm identify -format '%x %y\n' $DOC`},
		muPDF(),
	}
}

// muPDF tells the size of the sheet with the text of a page.
func muPDF() reader {
	return reader{program: "mutool", debian: "mupdf-tools", name: "MuPDF", unit: "points", line: `
	while read n w h rest; do mutool draw -q -A 0 -w $w -h $h -f -o page-$n.ppm $DOC $n; mv page-$n.ppm page-$n.pnm; done <pages
	mutool draw -q -F stext -o - $DOC | sed -n 's/.*<page .*width="\([^"]*\)" height="\([^"]*\)".*/\1 \2/p'`}
}

// pdfReaders are programs that show PDF, each page in the pixels of its image.
func pdfReaders() []reader {
	const sizes = ` $(awk '{print $2 "x" $3}' pages)`
	return []reader{
		{program: "pdftoppm", debian: "poppler-utils", name: "poppler pdftoppm", unit: "points", line: `
		while read n w h x y; do pdftoppm -f $n -l $n -singlefile -rx $x -ry $y $DOC page-$n; mv page-$n.ppm page-$n.pnm; done <pages
		pdfinfo -f 1 -l 99 $DOC | sed -n 's/^Page.*size: *\([^ ]*\) x \([^ ]*\) pts.*/\1 \2/p'`},
		{program: "pdfimages", debian: "poppler-utils", name: "poppler pdfimages", unit: "per inch", line: `
		pdfimages $DOC i
		while read n rest; do mv i-*$((n-1)).p?m page-$n.pnm; done <pages
		pdfimages -list $DOC | awk 'NR > 2 {print $13, $14}'`},
		muPDF(),
		{program: "gs", debian: "ghostscript", name: "Ghostscript", line: `
		while read n w h x y; do
			gs -q -dSAFER -dNOPAUSE -dBATCH -sDEVICE=ppmraw -dFirstPage=$n -dLastPage=$n -r${x}x$y -o page-$n.pnm $DOC
		done <pages`},
		{program: "node", debian: "nodejs", name: "pdf.js", unit: "points", line: `node $M/pdfjs.mjs $JAVA $DOC` + sizes, loses: 7},
		{program: "java", debian: "default-jre-headless", name: "PDFBox", unit: "points", line: `
		P=/usr/share/java; java -cp $JAVA:$P/pdfbox2.jar:$P/fontbox2.jar:$P/commons-logging.jar Pages pdf $DOC` + sizes},
	}
}
