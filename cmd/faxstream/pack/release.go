package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/faxstream/faxstream/pipeline/sign"
)

const (
	repository = "https://github.com/faxstream/faxstream"
	sumsName   = "SHA256SUMS"
)

// chart packs deploy/chart with the version of this build.
func (p *packer) chart() error {
	entries, err := entriesBelow(filepath.Join(p.sources, "deploy/chart"), "faxstream")
	if err != nil {
		return err
	}
	versions := regexp.MustCompile(`(?m)^(version|appVersion): .*$`)
	found := 0
	for i, e := range entries {
		if e.name != "faxstream/Chart.yaml" {
			continue
		}
		entries[i].data = versions.ReplaceAllFunc(e.data, func(line []byte) []byte {
			found++
			name, _, _ := bytes.Cut(line, []byte(":"))
			value := p.number
			if string(name) == "appVersion" {
				value = p.tag() // templates take the tag of the image from here
			}
			return fmt.Appendf(nil, "%s: %q", name, value)
		})
	}
	if found != 2 {
		return fmt.Errorf("deploy/chart/Chart.yaml has %d lines of version and appVersion, want both", found)
	}
	return writeTarGz(p.file("faxstream-chart-%s.tgz", p.number), p.when, entries)
}

// compose packs the compose file with the files that it mounts.
func (p *packer) compose() error {
	var entries []entry
	for _, name := range []string{"compose.yaml", "nats-server.conf", "nginx.conf"} {
		data, err := os.ReadFile(filepath.Join(p.sources, "deploy", name))
		if err != nil {
			return err
		}
		data = bytes.ReplaceAll(data, []byte("image: faxstream\n"), []byte("image: faxstream:"+p.tag()+"\n"))
		entries = append(entries, entry{name: "faxstream-compose/" + name, mode: 0o644, data: data})
	}
	return writeTarGz(p.file("faxstream-compose-%s.tgz", p.number), p.when, entries)
}

// digest is a file of dist.
type digest struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// digests are those of all files that there are so far, by name.
func (p *packer) digests() (all []digest, err error) {
	files, err := os.ReadDir(p.dist)
	for _, f := range files {
		data, err := os.ReadFile(p.file("%s", f.Name()))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		all = append(all, digest{f.Name(), map[string]string{"sha256": hex.EncodeToString(sum[:])}})
	}
	return all, err
}

// object is any JSON object.
type object map[string]any

// statement is the provenance: what was made of which commit by what, as SLSA says it (version 1) in a statement of in-toto.
func (p *packer) statement(subjects []digest) (object, error) {
	sources := object{"uri": "git+" + repository, "digest": object{"gitCommit": p.commit}}
	if p.dirty {
		sources["annotations"] = object{"changed": "with changes that are not committed"}
	}
	dependencies := []object{sources}
	for _, name := range []string{"nfpm", "cyclonedx-gomod"} {
		info, err := buildinfo.ReadFile(filepath.Join(p.tools, name))
		if err != nil {
			return nil, err
		}
		dependencies = append(dependencies, object{
			"name": name, "uri": "pkg:golang/" + info.Main.Path + "@" + info.Main.Version, "annotations": object{"sum": info.Main.Sum},
		})
	}
	const builder = repository + "/cmd/faxstream/pack"
	return object{
		"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": "https://slsa.dev/provenance/v1",
		"predicate": object{
			"buildDefinition": object{
				"buildType":            builder + "@v1",
				"externalParameters":   object{"source": "git+" + repository, "version": p.describe, "platforms": p.arches, "release": p.release},
				"resolvedDependencies": dependencies,
			},
			"runDetails": object{"builder": object{"id": builder, "version": object{"go": runtime.Version()}}},
		},
	}, nil
}

const statementType = "application/vnd.in-toto+json"

// provenance writes the statement about all other files in a DSSE envelope, signed. Without a key nothing is written: a statement that
// nobody signs proves nothing.
func (p *packer) provenance() error {
	if p.key == nil {
		return nil
	}
	subjects, err := p.digests()
	if err != nil {
		return err
	}
	statement, err := p.statement(subjects)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(statement)
	if err != nil {
		return err
	}
	signature := sign.Sign(p.key, preAuthentication(statementType, payload))
	envelope, err := json.Marshal(object{
		"payloadType": statementType, "payload": base64.StdEncoding.EncodeToString(payload),
		"signatures": []object{{"keyid": signature.KeyID, "sig": signature.Ed25519}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(p.file("faxstream-%s.intoto.jsonl", p.number), append(envelope, '\n'), 0o644)
}

// preAuthentication is what a DSSE envelope signs.
func preAuthentication(kind string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload)
}

// sums writes SHA256SUMS, and with a key its signature as `openssl pkeyutl` reads it, and the public key.
func (p *packer) sums() error {
	all, err := p.digests()
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, d := range all {
		fmt.Fprintf(&lines, "%s  %s\n", d.Digest["sha256"], d.Name)
	}
	if err := os.WriteFile(p.file(sumsName), []byte(lines.String()), 0o644); err != nil || p.key == nil {
		return err
	}
	public, err := sign.PublicPEM(p.key.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.file("release.pub"), public, 0o644); err != nil {
		return err
	}
	return os.WriteFile(p.file(sumsName+".sig"), ed25519.Sign(p.key, []byte(lines.String())), 0o644)
}
