package matrix_test

// writings are the writers of the matrix. $IN holds the pages, $M is testdata/matrix, $JAVA the compiled Java program.
func writings() []writing {
	return []writing{
		{"gs", "ghostscript", ghostscriptWriters()},
		{"convert-im6.q16", "imagemagick-6.q16", magickWriters("convert-im6.q16")},
		{"gm", "graphicsmagick", magickWriters("gm convert")},
		{"tiffcp", "libtiff-tools", libtiffWriters()},
		{"pnmtotiff", "netpbm", netpbmWriters()},
		{"vips", "libvips-tools", vipsWriters()},
		{"/usr/bin/python3", "python3-pil", pillowWriters()},
		{"java", "default-jre-headless", javaWriters()},
	}
}

// ghostscriptWriters are all its TIFF devices, and what can be asked of them.
func ghostscriptWriters() (ws []writer) {
	add := func(is string, tolerance int, devices ...string) {
		input := map[string]string{"bilevel": "page.ps", "two": "two.ps", "gray": "gray.ps", "colour": "colour.ps"}[is]
		for _, d := range devices {
			line := "gs -q -dSAFER -dNOPAUSE -dBATCH -r204x98 -o out.tif -sDEVICE=" + d + " $IN/" + input
			ws = append(ws, writer{name: d + " " + is, line: line, is: is, tolerance: tolerance})
		}
	}
	add("two", 0, "tiffcrle", "tiffg3", "tiffg32d", "tiffg4", "tifflzw", "tiffpack")
	add("bilevel", 0, "tiffg3 -dFillOrder=2", "tiffg32d -dFillOrder=2", "tiffg4 -dFillOrder=2", "tiffg4 -dMaxStripSize=0",
		"tiffg3 -dMaxStripSize=1000", "tiffg4 -dAdjustWidth=0", "tiffg4 -dUseBigTIFF", "tiffpack -dMinFeatureSize=1",
		"tiffscaled -sCompression=none", "tiffscaled -sCompression=crle", "tiffscaled -sCompression=g3", "tiffscaled -sCompression=g4",
		"tiffscaled4", "tiffgray", "tiff24nc", "tiff48nc")
	add("gray", 1, "tiffgray", "tiffgray -sCompression=lzw", "tiffgray -sCompression=pack", "tiff24nc", "tiff48nc", "tiffscaled8",
		"tiffscaled24")
	add("colour", 1, "tiff24nc", "tiff24nc -sCompression=lzw", "tiff24nc -sCompression=pack", "tiff48nc", "tiffscaled24")
	add("colour", 8, "tiff12nc")                                         // 16 levels
	add("colour", 25, "tiff32nc", "tiff64nc", "tiffscaled32", "tiffsep") // by way of CMYK
	ws = append(ws, writer{
		name: "tiffsep1", is: "bilevel",
		line: "gs -q -dSAFER -dNOPAUSE -dBATCH -r204x98 -o out.tif -sDEVICE=tiffsep1 $IN/page.ps; mv 'out(Black).tif' out.tif",
	})
	return ws
}

// magickWriters are what both programs of this family know.
func magickWriters(program string) (ws []writer) {
	add := func(is string, tolerance int, options ...string) {
		input := map[string]string{
			"bilevel": "$IN/page.pbm", "two": "$IN/page.pbm $IN/second.pbm", "gray": "$IN/page.pgm", "colour": "$IN/page.ppm",
		}[is]
		for _, o := range options {
			line := program + " -density 204x98 -units PixelsPerInch " + input + " " + o + " tiff:out.tif"
			ws = append(ws, writer{name: is + " " + o, line: line, is: is, tolerance: tolerance})
		}
	}
	add("two", 0, "-compress None", "-compress Fax", "-compress Group4", "-compress LZW", "-compress Zip", "-compress RLE")
	add("bilevel", 0, "-compress Fax -define tiff:fill-order=lsb", "-compress Group4 -define tiff:fill-order=lsb -endian LSB",
		"-compress Group4 -endian MSB", "-compress Group4 -define quantum:polarity=min-is-white",
		"-compress None -define quantum:polarity=min-is-white", "-compress Group4 -define tiff:rows-per-strip=16",
		"-compress Zip -type Palette", "-compress None -type TrueColor", "-compress None -type Grayscale -depth 8")
	add("bilevel", 8, "-compress JPEG -quality 95") // GraphicsMagick makes gray of it, MinIsWhite
	add("gray", 1, "-compress None", "-compress Zip", "-compress LZW", "-compress None -depth 16", "-compress Zip -depth 16",
		"-compress Zip -type TrueColor", "-compress Zip -type TrueColorMatte", "-compress Zip -type GrayscaleMatte",
		"-compress None -endian MSB -depth 16")
	add("gray", 3, "-compress JPEG -quality 95")
	add("gray", 9, "-compress None -depth 4", "-compress Zip -depth 4")
	add("colour", 1, "-compress None", "-compress Zip", "-compress LZW", "-compress RLE", "-compress Zip -depth 16",
		"-compress Zip -interlace Plane", "-compress None -interlace Plane", "-compress Zip -type TrueColorMatte",
		"-compress None -define tiff:alpha=unspecified -type TrueColorMatte")
	add("colour", 4, "-compress JPEG -quality 95")
	add("colour", 6, "-compress Zip -type Palette")
	// GraphicsMagick adds black and takes less colour away.
	add("colour", 40, "-compress Zip -colorspace CMYK", "-compress JPEG -quality 95 -colorspace CMYK")
	return ws
}

// libtiffWriters are libtiff's own tools; all codings of tiffcp are tried in pipeline/tiff.
func libtiffWriters() (ws []writer) {
	add := func(is string, tolerance int, noSize bool, lines ...string) {
		for _, l := range lines {
			ws = append(ws, writer{name: l, line: l, is: is, tolerance: tolerance, noSize: noSize})
		}
	}
	for _, out := range []string{"", "-5 -p", "-6 -c", "-8", "-8 -c -m", "-u", "-z", "-7 -r 64 -m"} {
		add("bilevel", 0, false, "fax2tiff -M -R 98 "+out+" -o out.tif $IN/page.g3", "fax2tiff -M -2 -R 98 "+out+" -o out.tif $IN/page.g32d")
		line := "fax2tiff -M -4 -R 98 " + out + " -o out.tif $IN/page.g4"
		ws = append(ws, writer{name: line, line: line, is: "bilevel", extra: 1}) // it counts the EOFB
	}
	add("bilevel", 0, true, "tail -c +13 $IN/page.pbm >raw; raw2tiff -w 216 -l 286 -d byte raw out.tif; "+
		"tiffset -s 256 1728 out.tif; tiffset -s 258 1 1 out.tif; tiffset -s 262 0 out.tif")
	add("two", 0, false, "tiffcp -c g3:2d:fill -f lsb2msb $IN/two.tif out.tif", "tiffcp -c zip:p2 -t -w 64 -l 64 $IN/two.tif out.tif",
		"tiffcp -8 -c lzw $IN/two.tif out.tif", "tiffcrop -c g4 $IN/two.tif out.tif")
	add("bilevel", 0, false, "tiffsplit $IN/two.tif; tiffcp -c none xaaa.tif out.tif", "tiff2rgba -c zip $IN/page.tif out.tif",
		"tiff2rgba -c none -n $IN/page.tif out.tif", "tiff2rgba -c packbits -b $IN/page.tif out.tif")
	add("gray", 0, false, "tiffcp -c none -p separate $IN/gray.tif out.tif", "tiffcp -c packbits $IN/gray.tif out.tif",
		"tiffcp -c lzw:2 -B $IN/gray.tif out.tif", "tiffcp -c zip -t $IN/gray.tif out.tif", "tiff2rgba -c zip $IN/gray.tif out.tif")
	add("gray", 3, false, "tiffcp -c jpeg:95 $IN/gray.tif out.tif")
	add("colour", 0, false, "tiffcp -c none -p separate $IN/colour.tif out.tif", "tiffcp -c packbits $IN/colour.tif out.tif",
		"tiffcp -c lzw:2 -p separate $IN/colour.tif out.tif", "tiffcp -c zip -t $IN/colour.tif out.tif",
		"tiff2rgba -c zip $IN/colour.tif out.tif")
	add("colour", 4, false, "tiffcp -c jpeg:95 $IN/colour.tif out.tif", "tiffcp -c jpeg:r:95 $IN/colour.tif out.tif",
		"tiffcp -c jpeg:r:95 -p separate $IN/colour.tif out.tif",
		"tiff2rgba -c jpeg $IN/colour.tif out.tif")
	// At the border of the page the chroma of JPEG mixes with what pads the tile.
	add("colour", 5, false, "tiffcp -c jpeg:95 -t -w 64 -l 64 $IN/colour.tif out.tif")
	add("gray", 1, true, "ppm2tiff -c none -R 204 $IN/page.pgm out.tif")
	add("colour", 1, true, "ppm2tiff -c lzw -R 204 $IN/page.ppm out.tif")
	return ws
}

func netpbmWriters() (ws []writer) {
	add := func(is string, tolerance int, input string, options ...string) {
		for _, o := range options {
			line := "pamtotiff -xresolution 204 -yresolution 98 -resolutionunit inch " + o + " -output out.tif $IN/" + input
			ws = append(ws, writer{name: is + " " + o, line: line, is: is, tolerance: tolerance})
		}
	}
	add("bilevel", 0, "page.pbm", "-none", "-packbits", "-lzw", "-g3", "-g4", "-flate", "-adobeflate", "-g3 -2d", "-g3 -fill", "-g3 -2d -fill",
		"-g4 -miniswhite", "-g4 -minisblack", "-none -miniswhite", "-g4 -rowsperstrip 7", "-none -truecolor")
	add("gray", 1, "page.pgm", "-none", "-packbits", "-lzw", "-flate", "-none -miniswhite", "-none -minisblack", "-lzw -predictor 2",
		"-none -truecolor")
	add("colour", 1, "page.ppm", "-none -truecolor", "-packbits -truecolor", "-lzw -truecolor", "-flate -truecolor")
	ws = append(ws,
		writer{
			name: "a palette", is: "colour", tolerance: 4,
			line: "pnmquant 256 $IN/page.ppm | pamtotiff -xresolution 204 -yresolution 98 -resolutionunit inch -lzw -color -output out.tif",
		},
		writer{
			name: "centimetres", is: "bilevel",
			line: "pamtotiff -xresolution 80.315 -yresolution 38.583 -resolutionunit cm -g4 -output out.tif $IN/page.pbm",
		},
		writer{name: "pbmtog3", is: "bilevel", extra: 6, noSize: true, line: "pbmtog3 $IN/page.pbm >page.g3; fax2tiff -M -o out.tif page.g3"},
		writer{name: "pnmtotiffcmyk", is: "colour", tolerance: 24, noSize: true, line: "pnmtotiffcmyk $IN/page.ppm >out.tif"})
	return ws
}

func vipsWriters() (ws []writer) {
	add := func(is string, tolerance int, input string, options ...string) {
		for _, o := range options {
			line := "vips tiffsave $IN/" + input + " out.tif --xres 8.0315 --yres 3.8583 " + o
			ws = append(ws, writer{name: is + " " + o, line: line, is: is, tolerance: tolerance})
		}
	}
	add("bilevel", 0, "page.pbm", "--bitdepth 1 --compression ccittfax4", "--bitdepth 1 --compression ccittfax4 --miniswhite",
		"--bitdepth 1 --compression none --resunit inch", "--bitdepth 1 --compression none --miniswhite", "--bitdepth 1 --compression packbits",
		"--bitdepth 1 --compression deflate --predictor none --tile --tile-width 64 --tile-height 64",
		"--bitdepth 1 --compression lzw --predictor none --bigtiff",
		"--compression deflate", "--bitdepth 1 --compression ccittfax4 --tile --miniswhite", "--bitdepth 2 --compression none")
	add("gray", 1, "page.pgm", "--compression none", "--compression deflate --predictor none", "--compression deflate --tile --pyramid",
		"--compression none --miniswhite", "--compression deflate --tile --pyramid --subifd", "--compression lzw --bigtiff",
		"--compression deflate --predictor horizontal --tile")
	add("gray", 3, "page.pgm", "--compression jpeg --Q 95", "--compression jpeg --Q 95 --miniswhite", "--compression jpeg --Q 95 --tile")
	add("gray", 8, "page.pgm", "--bitdepth 4 --compression none", "--bitdepth 4 --compression deflate --predictor none --miniswhite")
	add("colour", 1, "page.ppm", "--compression none", "--compression deflate --tile --pyramid", "--compression lzw", "--compression packbits")
	add("colour", 4, "page.ppm", "--compression jpeg --Q 95", "--compression jpeg --Q 95 --tile",
		"--compression jpeg --Q 80 --tile --tile-width 48 --tile-height 48")
	return ws
}

func pillowWriters() (ws []writer) {
	add := func(is string, tolerance int, mode string, compressions ...string) {
		input := map[string]string{
			"bilevel": "$IN/page.pbm", "two": "$IN/page.pbm $IN/second.pbm", "gray": "$IN/page.pgm", "colour": "$IN/page.ppm",
		}[is]
		for _, c := range compressions {
			line := "/usr/bin/python3 $M/pillow.py write '" + mode + "' " + c + " out.tif " + input
			ws = append(ws, writer{name: is + " " + mode + " " + c, line: line, is: is, tolerance: tolerance})
		}
	}
	add("two", 0, "1", "raw", "tiff_ccitt", "group3", "group4", "tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate")
	add("bilevel", 0, "RGB", "raw", "tiff_lzw")
	add("bilevel", 0, "P", "raw", "packbits")
	add("gray", 1, "L", "raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
	add("gray", 1, "LA", "raw", "tiff_adobe_deflate")
	add("gray", 1, "RGBX", "raw", "tiff_adobe_deflate")
	add("gray", 3, "L", "jpeg")
	add("colour", 1, "RGB", "raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
	add("colour", 1, "RGBA", "raw", "tiff_adobe_deflate")
	add("colour", 4, "RGB", "jpeg")
	add("colour", 4, "YCbCr", "raw", "tiff_lzw")
	add("colour", 24, "CMYK", "raw", "tiff_lzw", "jpeg")
	return ws
}

func javaWriters() (ws []writer) {
	add := func(is string, tolerance int, compressions ...string) {
		input := map[string]string{
			"bilevel": "$IN/page.pbm", "two": "$IN/page.pbm $IN/second.pbm", "gray": "$IN/page.pgm", "colour": "$IN/page.ppm",
		}[is]
		for _, c := range compressions {
			for _, order := range []string{"little", "big"} {
				line := "java -cp $JAVA:/usr/share/java/pdfbox2.jar Pages write out.tif '" + c + "' " + order + " " + input
				ws = append(ws, writer{name: is + " " + c + " " + order, line: line, is: is, tolerance: tolerance})
			}
		}
	}
	add("two", 0, "CCITT RLE", "CCITT T.4", "CCITT T.6", "LZW", "ZLib", "PackBits", "Deflate")
	add("gray", 1, "LZW", "ZLib", "PackBits", "Deflate")
	add("gray", 6, "JPEG")
	add("colour", 1, "LZW", "ZLib", "PackBits", "Deflate")
	add("colour", 6, "JPEG")
	return ws
}
