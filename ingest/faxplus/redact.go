package faxplus

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// removed stands where something was taken out of a body.
const removed = "[removed]"

// RedactTarget gives body without the path and query of hook.target, which echoes the URL that we registered and with it
// our secret. All else stays as it is, byte for byte. In a body that is not a JSON object, every string after "target":
// is treated so. It knows nothing of secrets elsewhere in the body. body is not changed.
func RedactTarget(body []byte) []byte {
	if !isObject(body) {
		return looseTarget().ReplaceAllFunc(body, func(m []byte) []byte {
			i := bytes.IndexByte(m, ':')
			value := bytes.TrimSpace(m[i+1:])
			return append(bytes.Clone(m[:len(m)-len(value)]), redactValue(value)...)
		})
	}
	return replaceMembers(body, "hook", func(hook []byte) []byte {
		return replaceMembers(hook, "target", redactValue)
	})
}

// looseTarget matches a member named target in text that no JSON decoder accepts; the value's end may be missing.
func looseTarget() *regexp.Regexp {
	return regexp.MustCompile(`(?is)"target"\s*:\s*"(?:[^"\\]|\\.)*"?`)
}

func isObject(body []byte) bool {
	var o object
	return json.Unmarshal(body, &o) == nil && o != nil
}

// replaceMembers gives the JSON object obj with the value of every member called name (there may be several, in any
// case of letters) replaced; anything but a valid JSON object comes back as it is.
func replaceMembers(obj []byte, name string, replace func([]byte) []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(obj))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return obj
	}
	var out []byte
	kept := 0 // obj[:kept] is in out
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
			out = append(append(out, obj[kept:end-len(value)]...), replace(value)...)
			kept = end
		}
	}
	return append(out, obj[kept:]...)
}

// redactValue gives the JSON string of a URL with scheme and host alone. What is no such string is removed whole.
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
	if err != nil { // cannot happen: a string
		return []byte(`"` + removed + `"`)
	}
	return quoted
}
