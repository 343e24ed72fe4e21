package faxplus

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// removed replaces what was removed from a body.
const removed = "[removed]"

// RedactTarget returns body without the path and query of hook.target: it is the URL that we registered, with our secret.
// All other bytes stay the same. In a body that is not a JSON object, it changes every string after "target": in this
// way. It does not find secrets in other places of the body. It does not change body itself.
func RedactTarget(body []byte) []byte {
	if !isObject(body) {
		body = looseTarget().ReplaceAllFunc(body, func(m []byte) []byte {
			i := bytes.IndexByte(m, ':')
			value := bytes.TrimSpace(m[i+1:])
			return append(bytes.Clone(m[:len(m)-len(value)]), redactValue(value)...)
		})
	}
	// If only the removed text made the body malformed, it is an object now: its other members named target are found as in any object.
	return replaceMembers(body, "hook", func(hook []byte) []byte {
		return replaceMembers(hook, "target", redactValue)
	})
}

// looseTarget matches a member named target in text that is not valid JSON; the end of the value may be missing.
func looseTarget() *regexp.Regexp {
	return regexp.MustCompile(`(?is)"target"\s*:\s*"(?:[^"\\]|\\.)*"?`)
}

func isObject(body []byte) bool {
	var o object
	return json.Unmarshal(body, &o) == nil && o != nil
}

// replaceMembers returns the JSON object obj with a new value for every member called name (upper or lower case; there
// may be several). If obj is not a valid JSON object, it returns obj unchanged.
func replaceMembers(obj []byte, name string, replace func([]byte) []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(obj))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return obj
	}
	var out []byte
	done := 0 // obj[:done] is in out
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return obj
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return obj
		}
		if k, ok := key.(string); ok && strings.EqualFold(k, name) {
			end := int(dec.InputOffset())
			out = append(append(out, obj[done:end-len(value)]...), replace(value)...)
			done = end
		}
	}
	return append(out, obj[done:]...)
}

// redactValue returns the JSON string of a URL with scheme and host only. It replaces any other value completely.
func redactValue(value []byte) []byte {
	safe := removed
	var s string
	if json.Unmarshal(value, &s) == nil {
		if u, err := url.Parse(s); err == nil && u.Scheme != "" && u.Host != "" {
			safe = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
			if safe != s {
				safe += "/" + removed
			}
		}
	}
	quoted, err := json.Marshal(safe)
	if err != nil { // cannot happen for a string
		return []byte(`"` + removed + `"`)
	}
	return quoted
}
