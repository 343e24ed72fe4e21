package jbig_test

import (
	"context"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/faxstream/faxstream/pipeline/jbig"
)

// small images of every template and marker, from JBIG-KIT's encoders.
var small = []string{
	"000001000000002500000028000000020800031cfab50fcfff02a99b18ff02ff02ca198aff0285e2ff02ff0237daff0285c0ff02ff02608738ff02d4" +
		"98ff02ff0284de18ff02cf68ff02ff02e17b19ff0279ff02ff02ed9b98c0ff028be0ff02",
	"0000010000000025000000280000001008000348ff0022380f988a6bda75ff00cfa8f6318f236ec02cf0ff020021bdbf5a29b77300e59287219780ff" +
		"02957c038b0168ff02",
	"0000010000000025000000280000000a6400031cff070000000178fab50fcef3dd52f450f021a92cf0ff02003c9bfccccd694fc3ff02d5775f6e22d2" +
		"b5b7ff02e4500897788fdfc17fff02",
	"000001000000002500000028000000080800031cfab50fcef3dd52f450f021a9ff03b8327f56b8d429fdb072ce34ff0345163fd5a7f691d39b80ff03" +
		"be99ff0053f165682e333002d910ff03b48967c5eb05845ec88e0fd0ff03",
	"00000100000000250000003c000000107f000028fab50fcef3dd52f450f021a92ceed64ff58a8860ff02015f165873d750758c34ca9aaac114ff029d" +
		"7f6694f72940ff02ff0500000028ff02",
	"000001000000002500000028000000807f000000f56a1f9df5fcacc9a9cfa8122d1a7cde8bcd6b20688edca2c953277784b70e23cb7a5a2070df8013" +
		"11c4b38606b3d571b67cc32aff02",
}

// FuzzDecode checks what Decode promises whatever the bytes are.
func FuzzDecode(f *testing.F) {
	for _, s := range small {
		data, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		if _, res, err := jbig.Decode(context.Background(), nil, data, jbig.Limits{}); err != nil || res.Found != res.Rows {
			f.Fatalf("seed %s: %+v, %v", s, res, err)
		}
		f.Add(data)
	}
	lim := jbig.Limits{MaxWidth: 3000, MaxRows: 500, MaxPixels: 1 << 18}
	f.Fuzz(func(t *testing.T, data []byte) {
		pix, res, err := jbig.Decode(context.Background(), []byte{7}, data, lim)
		if err != nil {
			if !errors.Is(err, jbig.ErrMalformed) && !errors.Is(err, jbig.ErrUnsupported) && !errors.Is(err, jbig.ErrLimit) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		rowBytes := (res.Width + 7) / 8
		if pix[0] != 7 || len(pix) != 1+res.Rows*rowBytes || res.Found < 1 || res.Found > res.Rows || res.Doubtful >= res.Found ||
			len(res.Warnings) > 100 {
			t.Fatalf("%d bytes of %+v", len(pix), res)
		}
		for y := range res.Rows {
			if last := pix[(y+1)*rowBytes]; res.Width%8 != 0 && last&(0xff>>(res.Width%8)) != 0 {
				t.Fatalf("row %d has pixels behind the width", y)
			}
		}
	})
}
