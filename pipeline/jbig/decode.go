package jbig

import (
	"context"
	"fmt"
)

// A context is the ten pixels around the one to come (T.82 6.7.1): two or three
// rows of them, the most significant bit first.
const contextBits = 10

// A template says which pixels make the context. The last of the row above is
// the adaptive pixel, which may be moved elsewhere.
type template struct {
	above2, above, here int // how many pixels of the rows two above, above, and of this one
	adaptive            int // the adaptive pixel's bit
	typical             int // the context of SLNTP (figures 8 and 9)
}

var (
	threeLines = template{above2: 3, above: 5, here: 2, adaptive: 2, typical: 0x0e5}
	twoLines   = template{above2: 0, above: 6, here: 4, adaptive: 4, typical: 0x195}
)

// margin is how many white pixels stand at either side of an unpacked row.
const margin = 2

// A decoder holds the state between stripes.
type decoder struct {
	ctx      context.Context
	h        Header
	t        template
	typical  bool
	rowBytes int

	out  []byte // packed rows
	base int
	rows int // in out
	most int // rows that are allowed

	wanted int // rows after which decoding ends; 0: all

	doubtful int // rows at the end that needed bytes which were cut off

	coder     coder
	tx, ty    int     // the adaptive pixel, 0 and 0 where the template has it
	sameAbove uint8   // LNTP of the row above: 0, it was that before it
	top       int     // the row above which all is white
	here      []uint8 // unpacked rows: this one, that above and that two above
	above     []uint8
	above2    []uint8
}

func newDecoder(ctx context.Context, h Header, dst []byte) *decoder {
	d := &decoder{
		ctx: ctx, h: h, t: threeLines, typical: h.options&optionTypical != 0,
		rowBytes: (h.Width + 7) / 8, out: dst, base: len(dst),
	}
	if h.options&optionLowestTwoLine != 0 {
		d.t = twoLines
	}
	n := h.Width + 2*margin + 8 // and room to pack the last byte
	d.here, d.above, d.above2 = make([]uint8, n), make([]uint8, n), make([]uint8, n)
	d.reset()
	return d
}

// reset forgets everything, as at the top of the image and behind SDRST.
func (d *decoder) reset() {
	clear(d.coder.states[:])
	d.tx, d.ty, d.sameAbove, d.top = 0, 0, 1, d.rows
	clear(d.above)
	clear(d.above2)
}

// stripes decodes all stripes.
func (d *decoder) stripes(s stripes) error {
	for _, st := range s.list {
		rows := d.h.StripeRows
		if s.height > 0 {
			rows = min(rows, s.height-d.rows)
		}
		if d.wanted > 0 {
			rows = min(rows, d.wanted-d.rows)
		}
		if rows <= 0 {
			break
		}
		if err := d.stripe(st, rows); err != nil {
			return err
		}
		if st.reset {
			d.reset()
		}
	}
	return nil
}

// maxBeyond is how many bytes past its end a code may need where only the end
// marker was cut off: encoders leave out the zeros at the end (T.82 6.8.2.7), and
// three bytes are read ahead. Rows that need more are not there.
const maxBeyond = 4

// stripe decodes rows rows.
func (d *decoder) stripe(st stripe, rows int) error {
	d.coder.begin(st.code)
	moves := st.moves
	for y := range rows {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		for len(moves) > 0 && moves[0].row <= y {
			d.tx, d.ty = moves[0].tx, moves[0].ty
			moves = moves[1:]
		}
		if st.cut && d.coder.beyond > maxBeyond {
			return nil
		}
		if d.rows >= d.most {
			return fmt.Errorf("more than %d rows: %w", d.rows, ErrLimit)
		}
		if d.row(); st.cut && d.coder.beyond > 0 {
			d.doubtful++
		}
	}
	return nil
}

// row decodes a row and appends it.
func (d *decoder) row() {
	if d.typical {
		// T.82 6.5.1: SLNTP tells whether LNTP changes.
		if d.coder.bit(d.t.typical) == 0 {
			d.sameAbove ^= 1
		}
	}
	switch {
	case d.typical && d.sameAbove == 0:
		copy(d.here, d.above)
	case d.tx == 0 && d.ty == 0:
		d.pixels()
	default:
		d.movedPixels()
	}
	d.pack()
	d.here, d.above, d.above2 = d.above2, d.here, d.above
}

// pixels decodes the pixels of a row with the template's own adaptive pixel.
func (d *decoder) pixels() {
	t := d.t
	mask2, mask1, mask0 := 1<<t.above2-1, 1<<t.above-1, 1<<t.here-1
	c2, c1, c0 := int(d.above2[margin]), int(d.above[margin])<<1|int(d.above[margin+1]), 0
	here, above, above2 := d.here[margin:], d.above[margin+2:], d.above2[margin+1:]
	for x := range d.h.Width {
		c2 = (c2<<1 | int(above2[x])) & mask2
		c1 = (c1<<1 | int(above[x])) & mask1
		bit := d.coder.bit(c2<<(t.above+t.here) | c1<<t.here | c0)
		here[x] = bit
		c0 = (c0<<1 | int(bit)) & mask0
	}
}

// movedPixels does the same with an adaptive pixel elsewhere.
func (d *decoder) movedPixels() {
	t := d.t
	mask2, mask1, mask0 := 1<<t.above2-1, 1<<t.above-1, 1<<t.here-1
	c2, c1, c0 := int(d.above2[margin]), int(d.above[margin])<<1|int(d.above[margin+1]), 0
	for x := range d.h.Width {
		c2 = (c2<<1 | int(d.above2[margin+1+x])) & mask2
		c1 = (c1<<1 | int(d.above[margin+2+x])) & mask1
		context := c2<<(t.above+t.here) | c1<<t.here | c0
		context = context&^(1<<t.adaptive) | int(d.pixel(x-d.tx, d.ty, x))<<t.adaptive
		bit := d.coder.bit(context)
		d.here[margin+x] = bit
		c0 = (c0<<1 | int(bit)) & mask0
	}
}

// pixel returns pixel x of the row ty above that of pixel now, white outside.
func (d *decoder) pixel(x, ty, now int) uint8 {
	switch y := d.rows - ty; {
	case x < 0 || x >= d.h.Width || ty == 0 && x >= now || y < d.top:
		return 0
	case ty == 0:
		return d.here[margin+x]
	default:
		return d.out[d.base+y*d.rowBytes+x/8] >> (7 - x%8) & 1
	}
}

// pack appends the row in eight pixels to the byte.
func (d *decoder) pack() {
	clear(d.here[margin+d.h.Width:])
	for x := 0; x < d.h.Width; x += 8 {
		p := d.here[margin+x : margin+x+8]
		d.out = append(d.out, p[0]<<7|p[1]<<6|p[2]<<5|p[3]<<4|p[4]<<3|p[5]<<2|p[6]<<1|p[7])
	}
	d.rows++
}
