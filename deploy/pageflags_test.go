package deploy_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// manpage is what `faxstream COMMAND --help` says.
type manpage struct {
	text  string
	flags map[string]string // "--name" and "-n": what stands behind =, such as a default
}

var (
	commandLine = regexp.MustCompile(`(?m)^  ([a-z-]+(?: [a-z-]+)?)  +\S`)
	flagLine    = regexp.MustCompile(`(?m)^  (?:   |(-[a-z]),) (--[a-z0-9-]+)(?:=(\S+))?`)
	flagName    = regexp.MustCompile(`(?:^|[\s"|\[(])(--?[a-z][a-z0-9-]*)`)
)

// manpages asks faxstream for the help of every command; "" is that of the program.
func manpages(t *testing.T) map[string]manpage {
	t.Helper()
	root := help(t)
	all := map[string]manpage{"": root}
	_, list, found := strings.Cut(root.text, "\nCommands:\n")
	if !found {
		t.Fatalf("no list of commands in `faxstream --help`:\n%s", root.text)
	}
	for _, m := range commandLine.FindAllStringSubmatch(list, -1) {
		all[m[1]] = help(t, strings.Fields(m[1])...)
	}
	return all
}

func help(t *testing.T, command ...string) manpage {
	t.Helper()
	cmd := exec.Command(faxstream(), append(command, "--help")...)
	cmd.Env = clean()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("faxstream %v --help: %v", command, err)
	}
	m := manpage{string(out), map[string]string{}}
	for _, f := range flagLine.FindAllStringSubmatch(m.text, -1) {
		m.flags[f[2]] = strings.Trim(f[3], `"`)
		if f[1] != "" {
			m.flags[f[1]] = ""
		}
	}
	if _, ok := m.flags["--help"]; !ok {
		t.Fatalf("no flags found in `faxstream %v --help`:\n%s", command, m.text)
	}
	return m
}

var (
	longFlag  = regexp.MustCompile(`(?:^|\s)(--[a-z][a-z0-9-]*)`)
	variable  = regexp.MustCompile(`FAXSTREAM_[A-Z0-9_]*[A-Z0-9]`)
	before    = regexp.MustCompile(`^\s*(?:[A-Za-z_]+=\S*\s+|if |while |until |! |do |docker compose exec faxstream /)*`) // of a command
	span      = regexp.MustCompile("`([^`\n]+)`")
	continued = regexp.MustCompile(`\\\n\s*`)
	between   = regexp.MustCompile(`\n|; | (?:\|\||&&|[|&]) ?|\$\(|\)`) // simple commands of a shell
)

// spans are the page's pieces of code within a line.
func (p page) spans() []string {
	var all []string
	for _, m := range span.FindAllStringSubmatch(p.prose, -1) {
		all = append(all, m[1])
	}
	return all
}

// code is everything that a reader may type or look for, one piece a line.
func (p page) code() string {
	pieces := p.spans()
	for _, b := range p.blocks {
		pieces = append(pieces, b.text)
	}
	return strings.Join(pieces, "\n")
}

// TestCommandsAndFlagsExist: the program has every command and flag of its own that a page names.
func TestCommandsAndFlagsExist(t *testing.T) {
	known := manpages(t)
	for _, p := range manual(t) {
		for line := range strings.SplitSeq(continued.ReplaceAllString(p.code(), " "), "\n") {
			for _, c := range between.Split(strings.ReplaceAll(line, "make demo ARGS=", "faxstream demo "), -1) {
				if problem := checkCommand(known, c); problem != "" {
					t.Errorf("%s: `%s`: %s", p.path, c, problem)
				}
			}
		}
	}
}

// TestFlagsAndVariablesExist: those that a page names without a command belong to some command.
func TestFlagsAndVariablesExist(t *testing.T) {
	var all strings.Builder
	flags := map[string]bool{}
	for _, m := range manpages(t) {
		all.WriteString(m.text)
		for f := range m.flags {
			flags[f] = true
		}
	}
	for _, p := range manual(t) {
		for _, text := range append(p.spans(), span.ReplaceAllString(p.prose, "")) {
			for _, m := range longFlag.FindAllStringSubmatch(text, -1) {
				if !flags[m[1]] && !foreign(text) {
					t.Errorf("%s names %s, which no command has", p.path, m[1])
				}
			}
		}
		for _, name := range variable.FindAllString(p.code(), -1) {
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(all.String()) {
				t.Errorf("%s names the variable %s, which no command knows", p.path, name)
			}
		}
	}
}

// foreign reports whether a piece of code is a command of another program.
func foreign(code string) bool {
	first, _, _ := strings.Cut(code, " ")
	return slices.Contains([]string{"make", "curl", "ssh", "docker", "systemctl", "systemd-analyze", "openssl"}, first)
}

// checkCommand says what is wrong with a command of faxstream's. Words in capitals and … stand for something else.
func checkCommand(known map[string]manpage, code string) string {
	words := strings.Fields(before.ReplaceAllString(code, ""))
	if len(words) == 0 {
		return ""
	}
	if words[0] == "faxstream" {
		words = words[1:]
	} else if _, ok := known[words[0]]; !ok && !isGroup(known, words[0]) || len(words) == 1 {
		return "" // another program's, or prose
	}
	name, ok := commandOf(known, words)
	if !ok {
		return "faxstream has no command " + name
	}
	for _, m := range flagName.FindAllStringSubmatch(code, -1) {
		if _, ok := known[name].flags[m[1]]; !ok && (len(words) == 0 || words[0] != "COMMAND") {
			return "faxstream " + name + " has no flag " + m[1]
		}
	}
	return ""
}

// commandOf is the command with which words begin, of one word or two; "" is none. Without ok faxstream does not have it.
func commandOf(known map[string]manpage, words []string) (name string, ok bool) {
	n := 1
	if len(words) > 0 && isGroup(known, words[0]) {
		n = 2
	}
	if len(words) < n || !regexp.MustCompile(`^[a-z]`).MatchString(words[n-1]) {
		return "", true // flags alone, or a word that stands for any
	}
	name = strings.Join(words[:n], " ")
	_, ok = known[name]
	return name, ok
}

// isGroup reports whether a word is the first of commands of two words.
func isGroup(known map[string]manpage, word string) bool {
	for name := range known {
		if strings.HasPrefix(name, word+" ") {
			return true
		}
	}
	return false
}

// TestConfigurationNamesEveryFlagOfServe, and no other default than the program has.
func TestConfigurationNamesEveryFlagOfServe(t *testing.T) {
	serve := help(t, "serve")
	prose := readPage(t, "docs/configuration.md").prose
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(--[a-z0-9-]+)` \\| (?:`([^`]*)` )?\\| \\S").FindAllStringSubmatch(prose, -1) {
		rows[m[1]] = m[2]
	}
	for flag := range serve.flags {
		if flag == "-h" || flag == "--help" || flag == "--config" {
			continue
		}
		given, ok := rows[flag]
		if !ok {
			t.Errorf("docs/configuration.md has no row for %s", flag)
			continue
		}
		delete(rows, flag)
		if want := serve.defaultOf(flag); want != "" && given != want {
			t.Errorf("docs/configuration.md gives %s the default %q, `faxstream serve --help` says %q", flag, given, want)
		}
	}
	for flag := range rows {
		t.Errorf("docs/configuration.md has a row for %s, which serve does not have", flag)
	}
}

// defaultOf is a flag's default, if the help says it: behind =, or in the text where a placeholder stands there.
func (m manpage) defaultOf(flag string) string {
	value := m.flags[flag]
	if value == "" || !strings.ContainsAny(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		return value
	}
	text := strings.Join(strings.Fields(m.text), " ")
	said := regexp.MustCompile(regexp.QuoteMeta(flag+"="+value) + ` [^$]*?Default (\S*[^\s;.])`).FindStringSubmatch(text)
	if said == nil {
		return ""
	}
	return said[1]
}
