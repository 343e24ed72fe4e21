package jbig

// A coder decodes the arithmetic code of T.82 section 6.8: the decoder's
// registers are A, the size of the interval, and C, the code within it, of which
// the upper 16 bits are compared.
type coder struct {
	src  []byte // a PSCD: stuffed, without its end marker
	at   int
	a, c uint32
	ct   int // bits left in C before the next byte

	// states are, for each context, the row of estimates, times two, plus the
	// more probable symbol.
	states [1 << contextBits]uint8

	beyond int // bytes read past the end of src, which are zeros (6.8.2.7)
}

// begin is INITDEC (figure 34).
func (d *coder) begin(src []byte) {
	d.src, d.at, d.beyond = src, 0, 0
	d.c, d.a = 0, 0x10000
	for range 3 {
		d.c <<= 8
		d.byteIn()
	}
	d.ct = 8
}

// byteIn is BYTEIN (figure 35) with the stuffing of section 6.2.2 taken out: ESC
// and STUFF are a byte ESC.
func (d *coder) byteIn() {
	if d.at >= len(d.src) {
		d.beyond++
		d.ct = 8
		return
	}
	b := d.src[d.at]
	d.at++
	if b == markerESC {
		d.at++
	}
	d.c |= uint32(b) << 8
	d.ct = 8
}

// bit is DECODE (figure 31) for a context.
func (d *coder) bit(context int) uint8 {
	state := d.states[context]
	e, mps := &estimates[state>>1], state&1
	lsz := uint32(e.lsz)
	d.a -= lsz
	if d.c>>16 < d.a {
		if d.a >= 0x8000 {
			return mps
		}
		return d.settle(context, e, mps, d.a >= lsz)
	}
	d.c -= d.a << 16
	likely := d.a < lsz
	d.a = lsz
	return d.settle(context, e, mps, likely)
}

// settle adapts the estimate (figures 32 and 33) after a symbol, the more
// probable one when likely, and renormalises (figure 36).
func (d *coder) settle(context int, e *estimate, mps uint8, likely bool) uint8 {
	bit := mps
	if likely {
		d.states[context] = e.nmps<<1 | mps
	} else {
		bit = 1 - mps
		d.states[context] = e.nlps<<1 | mps ^ e.swtch
	}
	for {
		if d.ct == 0 {
			d.byteIn()
		}
		d.a <<= 1
		d.c <<= 1
		d.ct--
		if d.a >= 0x8000 {
			return bit
		}
	}
}
