package pdf

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// clean returns m with texts that are valid in both forms of metadata.
func (m Meta) clean() (Meta, error) {
	for _, s := range []*string{&m.Title, &m.Author, &m.Subject, &m.Producer} {
		if len(*s) > maxMeta {
			return Meta{}, fmt.Errorf("%w: metadata text of %d bytes, want up to %d", ErrInput, len(*s), maxMeta)
		}
		*s = strings.TrimSpace(unescaped.Replace(cleanText(*s))) // readers of XMP drop the white space at both ends
	}
	if m.Created.IsZero() {
		return m, nil
	}
	m.Created = m.Created.UTC()
	if y := m.Created.Year(); y < 1 || y > 9999 {
		return Meta{}, fmt.Errorf("%w: creation year %d, want 1 to 9999", ErrInput, y)
	}
	return m, nil
}

// unescaped replaces the characters that a string of the Info dictionary must escape: Ghostscript 10.0 cannot compare such a string with
// the XMP metadata, and makes no PDF/A of the document.
var unescaped = strings.NewReplacer("(", "[", ")", "]", `\`, "/")

// cleanText replaces what XML 1.0 does not allow: control characters by spaces, invalid UTF-8 by U+FFFD.
func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case r == 0xFFFE || r == 0xFFFF:
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

// info returns the document information dictionary, 14.3.3.
func (m Meta) info() string {
	var b strings.Builder
	b.WriteString("<<")
	for _, e := range [][2]string{
		{"Title", m.Title},
		{"Author", m.Author},
		{"Subject", m.Subject},
		{"Producer", m.Producer},
	} {
		if e[1] != "" {
			b.WriteString("/" + e[0] + textString(e[1]))
		}
	}
	if !m.Created.IsZero() {
		// +00'00' and not Z: strict validators accept only the full form of 7.9.4.
		b.WriteString("/CreationDate(D:" + m.Created.Format("20060102150405") + "+00'00')")
	}
	b.WriteString(">>")
	return b.String()
}

// xmp returns the metadata stream: ISO 19005-2, 6.6.2 and 6.6.4. It has one description per schema, as ISO 19005-1 demands.
func (m Meta) xmp() []byte {
	var b strings.Builder
	b.WriteString("<?xpacket begin=\"\uFEFF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n" +
		`<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">` + "\n")
	describe := func(namespace, properties string) {
		if properties != "" {
			b.WriteString(`<rdf:Description rdf:about="" ` + namespace + ">" + properties + "</rdf:Description>\n")
		}
	}
	level := "B"
	if m.Unicode {
		level = "U"
	}
	describe(`xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"`,
		"<pdfaid:part>2</pdfaid:part><pdfaid:conformance>"+level+"</pdfaid:conformance>")
	describe(`xmlns:dc="http://purl.org/dc/elements/1.1/"`,
		element("dc:title", `<rdf:Alt><rdf:li xml:lang="x-default">`, m.Title, "</rdf:li></rdf:Alt>")+
			element("dc:creator", "<rdf:Seq><rdf:li>", m.Author, "</rdf:li></rdf:Seq>")+
			element("dc:description", `<rdf:Alt><rdf:li xml:lang="x-default">`, m.Subject, "</rdf:li></rdf:Alt>"))
	describe(`xmlns:pdf="http://ns.adobe.com/pdf/1.3/"`, element("pdf:Producer", "", m.Producer, ""))
	if !m.Created.IsZero() {
		describe(`xmlns:xmp="http://ns.adobe.com/xap/1.0/"`,
			element("xmp:CreateDate", "", m.Created.Format("2006-01-02T15:04:05")+"+00:00", ""))
	}
	b.WriteString("</rdf:RDF></x:xmpmeta>\n<?xpacket end=\"w\"?>")
	return []byte(b.String())
}

func element(name, open, text, end string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder never fails
	return "<" + name + ">" + open + b.String() + end + "</" + name + ">"
}

// textString writes a text string, 7.9.2.2: ASCII unchanged, other text as UTF-16BE in hexadecimal.
func textString(s string) string {
	ascii := true
	for _, r := range s {
		ascii = ascii && r >= ' ' && r < 0x7F
	}
	if ascii {
		return "(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(s) + ")"
	}
	return "<FEFF" + utf16Hex(s) + ">"
}

// utf16Hex writes UTF-16BE in hexadecimal.
func utf16Hex(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	return b.String()
}
