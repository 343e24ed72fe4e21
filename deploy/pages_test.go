package deploy_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page is one of the documents that people read.
type page struct {
	path   string // from this folder
	prose  string // without its fenced blocks
	blocks []block
}

// block is a fenced block. Its info string says what the tests do with it.
type block struct{ info, text string }

// What a page's block may be. Renderers look at the first word only.
const (
	run     = "sh"         // TestPagesRun executes it
	targets = "sh make"    // make targets, which TestTargetsExist looks up: they build and test the whole project
	example = "sh example" // it needs a real account, root or another host: only its commands and flags are checked
	plain   = "text"       // no commands
)

// manual is every page, the README first.
func manual(t *testing.T) []page {
	t.Helper()
	docs, err := filepath.Glob("docs/*.md")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no pages in docs: %v", err)
	}
	var all []page
	for _, path := range append([]string{"../README.md", "README.md"}, docs...) {
		all = append(all, readPage(t, path))
	}
	return all
}

var fence = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$\n?")

func readPage(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := page{path: path, prose: fence.ReplaceAllString(string(text), "\n")}
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		p.blocks = append(p.blocks, block{m[1], m[2]})
	}
	return p
}

// of is the text of the page's blocks of one kind.
func (p page) of(info string) []string {
	var texts []string
	for _, b := range p.blocks {
		if b.info == info {
			texts = append(texts, b.text)
		}
	}
	return texts
}

// TestBlocksAreRunOrMarked: a command that nobody runs is marked, and there is a reason that can be seen.
func TestBlocksAreRunOrMarked(t *testing.T) {
	reason := regexp.MustCompile(`…|example\.(org|com|net)|/etc/|docker|(?m)^cat > \S+$`)
	command := regexp.MustCompile(`(?m)^\s*(\$ )?(faxstream|make|curl|docker|systemctl|kill|cd|export|sudo) `)
	for _, p := range manual(t) {
		for _, b := range p.blocks {
			switch b.info {
			case run, targets:
			case example:
				if !reason.MatchString(b.text) {
					t.Errorf("%s: a block is marked `%s`, but nothing in it keeps it from being run: mark it `%s`\n%s", p.path, example, run, b.text)
				}
			case plain:
				if command.MatchString(b.text) {
					t.Errorf("%s: a block of text has commands: mark it `%s`, or `%s` with a reason\n%s", p.path, run, example, b.text)
				}
			default:
				t.Errorf("%s: a block is marked %q: want `%s`, `%s`, `%s` or `%s`\n%s", p.path, b.info, run, example, targets, plain, b.text)
			}
		}
		if strings.Contains(p.prose, "```") {
			t.Errorf("%s: a fence has no end", p.path)
		}
		if m := regexp.MustCompile(`\n\n {4,}\S.*`).FindString(p.prose); m != "" {
			t.Errorf("%s: an indented block, which no test sees: %s", p.path, m)
		}
	}
}

// TestTargetsExist: the make targets that pages name are in the Makefile, and in `make help`.
func TestTargetsExist(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range manual(t) {
		for _, m := range regexp.MustCompile("(?m)(?:`|^)make ([a-z-]+)").FindAllStringSubmatch(p.code(), -1) {
			found++
			if !regexp.MustCompile(`(?m)^` + m[1] + `:.*## `).Match(makefile) {
				t.Errorf("%s names `make %s`, which the Makefile does not have", p.path, m[1])
			}
		}
	}
	if found < 3 {
		t.Errorf("found %d make targets in the pages: want demo, test and build at least", found)
	}
}

// TestLinksResolve: what a page links to is there, with the heading that the link names.
func TestLinksResolve(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, p := range manual(t) {
		for _, m := range link.FindAllStringSubmatch(p.prose, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := p.path
			if path != "" {
				target = filepath.Join(filepath.Dir(p.path), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", p.path, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(readPage(t, target).prose), anchor) {
				t.Errorf("%s links to %s, but %s has no such heading", p.path, m[1], target)
			}
		}
	}
}

// anchors are the names that GitHub gives headings.
func anchors(prose string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

// TestREADMELeadsToEveryPage, and a newcomer reads it to the end.
func TestREADMELeadsToEveryPage(t *testing.T) {
	const most = 170
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > most {
		t.Errorf("README.md has %d lines, want at most %d: move what is for one role to a page in deploy/docs", lines, most)
	}
	for _, p := range manual(t)[1:] {
		if !strings.Contains(string(text), "]("+filepath.Join("deploy", p.path)+")") {
			t.Errorf("README.md has no link to deploy/%s", p.path)
		}
	}
}

// TestMetricsExist: an alert on a metric that is gone never fires.
func TestMetricsExist(t *testing.T) {
	metric := regexp.MustCompile(`faxstream_[a-z_]+[a-z]`)
	named := map[string]string{}
	for _, p := range manual(t) {
		for _, name := range metric.FindAllString(p.code(), -1) {
			named[name] = p.path
		}
	}
	if len(named) < 4 {
		t.Fatalf("found only the metrics %v", slices.Collect(maps.Keys(named)))
	}
	for _, dir := range []string{"../cmd", "../ingest", "../pipeline", "../storage"} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, name := range metric.FindAllString(string(source), -1) {
				delete(named, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, path := range named {
		t.Errorf("%s names the metric %s, which no program has", path, name)
	}
}

// TestValuesAreExplained: people meet these words in lists, letters and metrics, so a page explains each.
func TestValuesAreExplained(t *testing.T) {
	for _, v := range []struct{ source, name, path string }{
		{"../pipeline/session/reason.go", `Reason\w+ +Reason`, "docs/api.md"},
		{"../pipeline/session/document.go", `Verification\w+`, "docs/api.md"},
		{"../pipeline/session/ledger.go", `(?:Partial|Recovered)\w+`, "docs/api.md"},
		{"../pipeline/session/deadletter.go", `Stage\w+`, "docs/operations.md"},
		{"../pipeline/stage/stage.go", `[A-Z]\w+`, "docs/operations.md"},
		{"../ingest/reconcile_decide.go", `Outcome\w+`, "docs/operations.md"},
	} {
		source, err := os.ReadFile(v.source)
		if err != nil {
			t.Fatal(err)
		}
		values := regexp.MustCompile(`(?m)^(?:\t|const )`+v.name+` += "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
		if len(values) < 4 {
			t.Errorf("%s has only the values %v", v.source, values)
		}
		spans := readPage(t, v.path).spans()
		for _, m := range values {
			if !slices.Contains(spans, m[1]) {
				t.Errorf("%s does not explain %s, which is in %s", v.path, m[1], v.source)
			}
		}
	}
}

// TestLayoutIsThere: the README shows every package below pipeline and cmd/faxstream, those that only tests need too, and no others.
func TestLayoutIsThere(t *testing.T) {
	_, layout, found := strings.Cut(readPage(t, "../README.md").prose, "\n## Layout\n")
	if !found {
		t.Fatal("the README has no Layout")
	}
	room := regexp.MustCompile("`([a-z]+)`")
	for dir, row := range map[string]string{
		"../pipeline": `(?m)^\| (?:\d|tests) \|.*$`, "../cmd/faxstream": "(?m)^\\| `cmd/faxstream` \\|.*$",
	} {
		var shown []string
		for _, line := range regexp.MustCompile(row).FindAllString(layout, -1) {
			for _, m := range room.FindAllStringSubmatch(line, -1) {
				shown = append(shown, m[1])
			}
		}
		there := roomsIn(t, dir)
		slices.Sort(shown)
		slices.Sort(there)
		if !slices.Equal(shown, there) {
			t.Errorf("the README shows the packages %v of %s, there are %v", shown, dir, there)
		}
	}
}

// roomsIn are the names of the folders below dir, at any depth, that have Go files.
func roomsIn(t *testing.T, dir string) []string {
	t.Helper()
	var there []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == dir {
			return err
		}
		if files, err := filepath.Glob(filepath.Join(path, "*.go")); err != nil || len(files) == 0 {
			return err
		}
		there = append(there, d.Name())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}
