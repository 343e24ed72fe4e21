package text

import "fmt"

// An Image says how the image that an engine read lies on the archived page.
type Image struct {
	Width, Height  int  // of the page as stored, pixels
	Orientation    int  // how its pixels are stored, as TIFF 6.0 numbers it; 0 and 1: upright
	PNG            bool // the engine read the PNG, which is upright; else the original as it is stored
	ScaleX, ScaleY int  // pixels of the PNG for one of the upright page, at least 1
}

// spill is how many pixels a box may reach beyond the image: engines round.
const spill = 2

// Place gives the words with their boxes in pixels of the page as it is stored. The error names the first word whose box is not on the
// image.
func Place(words []Word, im Image) ([]Word, error) {
	width, height := im.Width, im.Height
	if im.PNG {
		if im.Orientation >= 5 {
			width, height = height, width
		}
		width, height = width*im.ScaleX, height*im.ScaleY
	}
	placed := make([]Word, len(words))
	for i, w := range words {
		if placed[i] = w; w.Box == nil {
			continue
		}
		b := *w.Box
		if b.Left < -spill || b.Top < -spill || b.Right > width+spill || b.Bottom > height+spill || b.Left > b.Right || b.Top > b.Bottom {
			return nil, fmt.Errorf("word %d (%.20q): its box from %d,%d to %d,%d is not on the image of %d x %d pixels: "+
				"say whether the engine read the PNG or the original", i+1, w.Text, b.Left, b.Top, b.Right, b.Bottom, width, height)
		}
		b = within(b, width, height)
		if im.PNG {
			b = im.stored(b)
		}
		placed[i].Box = &b
	}
	return placed, nil
}

// within cuts off what is beyond the image, and leaves one pixel at least.
func within(b Box, width, height int) Box {
	b.Left, b.Top = min(max(b.Left, 0), width-1), min(max(b.Top, 0), height-1)
	b.Right, b.Bottom = min(max(b.Right, b.Left+1), width), min(max(b.Bottom, b.Top+1), height)
	return b
}

// stored turns a box of the PNG into one of the page as stored (TIFF 6.0, Orientation).
func (im Image) stored(b Box) Box {
	b = Box{b.Left / im.ScaleX, b.Top / im.ScaleY, (b.Right-1)/im.ScaleX + 1, (b.Bottom-1)/im.ScaleY + 1}
	width, height := im.Width, im.Height
	if im.Orientation >= 5 {
		width, height = height, width
	}
	if o := im.Orientation; o == 2 || o == 3 || o == 6 || o == 7 {
		b.Left, b.Right = width-b.Right, width-b.Left
	}
	if o := im.Orientation; o == 3 || o == 4 || o == 7 || o == 8 {
		b.Top, b.Bottom = height-b.Bottom, height-b.Top
	}
	if im.Orientation >= 5 {
		b = Box{b.Top, b.Left, b.Bottom, b.Right}
	}
	return b
}
