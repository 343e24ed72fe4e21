package tiff_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

func TestFieldThumbnailIsNoPage(t *testing.T) {
	f, err := tiff.Parse(fieldFile(t, "page-thumb-page.tif"), tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if f.NumPages() != 2 || f.NotPages() != 1 || f.Check() != nil {
		t.Fatalf("%d pages and %d others, %v", f.NumPages(), f.NotPages(), f.Check())
	}
	for i, want := range []string{frameHash, secondHash} {
		if got := hashOf(decodeAll(t, fieldFile(t, "page-thumb-page.tif"))[i].Raster); got != want {
			t.Errorf("page %d: %s, want %s", i+1, got, want)
		}
	}
}

// A kind is what an IFD says that its image is.
type kind struct{ tag, value uint32 }

// kindsFile has an image of 24 x (i+1) pixels for each kind.
func kindsFile(kinds []kind) []byte {
	file := []byte{'I', 'I', 42, 0, 8, 0, 0, 0}
	for i, k := range kinds {
		p := raster.New(24, i+1)
		strip := ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride)
		fields := []field{
			{uint16(k.tag), 4, 1, k.value},
			{256, 4, 1, 24},
			{257, 4, 1, uint32(i + 1)},
			{259, 3, 1, 4},
			{262, 3, 1, 0},
			{273, 4, 1, 0},
			{279, 4, 1, uint32(len(strip))},
		}
		at := uint32(len(file) + 2 + 12*len(fields) + 4)
		fields[5].value = at
		next := uint32(0)
		if i+1 < len(kinds) {
			next = at + uint32(len(strip))
		}
		file = append(file, handMade(next, strip, fields...)[8:]...)
	}
	return file
}

func TestReducedImagesAndMasksAreNoPages(t *testing.T) {
	page, single := kind{254, 2}, kind{254, 0}
	for _, c := range []struct {
		kinds  []kind
		pages  []int // heights
		others int
	}{
		{[]kind{page, {254, 1}, page}, []int{1, 3}, 1},
		{[]kind{{254, 1}, single}, []int{2}, 1},
		{[]kind{single, {254, 4}}, []int{1}, 1},
		{[]kind{single, {254, 5}, {254, 3}, {254, 6}}, []int{1}, 3},
		{[]kind{{255, 1}, {255, 2}, {255, 3}}, []int{1, 3}, 1},
		{[]kind{{254, 1}, {254, 1}, {255, 2}}, []int{1, 2, 3}, 0},
		{[]kind{single, {254, 1 << 31}}, []int{1, 2}, 0},
	} {
		ds := decodeAll(t, kindsFile(c.kinds))
		var heights []int
		for _, d := range ds {
			heights = append(heights, d.Raster.Height)
		}
		f, err := tiff.Parse(kindsFile(c.kinds), tiff.Limits{})
		if err != nil || fmt.Sprint(heights) != fmt.Sprint(c.pages) || f.NotPages() != c.others {
			t.Errorf("%v: pages of %v rows, want %v; %d others, %v", c.kinds, heights, c.pages, f.NotPages(), err)
		}
	}
}

// The fields of an IFD may come in BigTIFF and in the other byte order.
func TestThumbnailsAreFoundInBigTIFF(t *testing.T) {
	be := binary.BigEndian
	file := append([]byte("MM\x00\x2b\x00\x08\x00\x00"), make([]byte, 8)...)
	be.PutUint64(file[8:], 16)
	for i, kind := range []uint32{0, 1} {
		file = be.AppendUint64(file, 4)
		for _, f := range []field{{254, 4, 1, kind}, {256, 4, 1, 8}, {257, 4, 1, 1}, {273, 4, 1, 8}} {
			file = be.AppendUint16(be.AppendUint16(file, f.tag), f.typ)
			file = be.AppendUint64(file, uint64(f.count))
			file = be.AppendUint32(be.AppendUint32(file, f.value), 0)
		}
		next := uint64(0)
		if i == 0 {
			next = uint64(len(file) + 8)
		}
		file = be.AppendUint64(file, next)
	}
	f, err := tiff.Parse(file, tiff.Limits{})
	if err != nil || f.NumPages() != 1 || f.NotPages() != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}
