package bus

import (
	"regexp"

	"github.com/faxstream/faxstream/pipeline/session"
)

// maskSubject hides the receiving number of every page, document and text subject in a text, such as an error. Numbers must not
// be in logs, and not in the details of dead letters, which people see.
func maskSubject(text string) string {
	return numbered().ReplaceAllStringFunc(text, func(s string) string {
		parts := numbered().FindStringSubmatch(s)
		if parts[2] == session.UnknownToken {
			return s
		}
		return parts[1] + session.MaskNumber(parts[2])
	})
}

// numbered matches fax.v1.page.<event>.<to>, and the same of doc and text.
func numbered() *regexp.Regexp {
	return regexp.MustCompile(`(fax\.v1\.(?:page|doc|text)\.[a-z_]+\.)([A-Za-z0-9_-]+)`)
}
