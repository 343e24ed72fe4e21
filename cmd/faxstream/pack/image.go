package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nobody is the user of the image: it has no name, and is in no /etc/passwd.
const nobody = 65532

// tag is the version as registries take it: they have no plus sign.
func (p *packer) tag() string { return strings.ReplaceAll(p.number, "+", "-") }

// image writes an archive of an OCI image layout with the image of every platform. `docker load`, `podman load`, `skopeo copy` and
// `ctr image import` read it; docker without containerd reads the first platform, from manifest.json.
func (p *packer) image() error {
	var images []v1.Image
	for _, arch := range p.arches {
		img, err := p.imageFor(arch)
		if err != nil {
			return fmt.Errorf("image for %s: %w", arch, err)
		}
		images = append(images, img)
	}
	dir := filepath.Join(p.tmp, "image")
	if err := p.writeLayout(dir, images); err != nil {
		return err
	}
	if err := p.writeDockerManifest(images[0], filepath.Join(dir, "manifest.json")); err != nil {
		return err
	}
	entries, err := entriesBelow(dir, "")
	if err != nil {
		return err
	}
	f, err := os.Create(p.file("faxstream-%s.oci.tar", p.number))
	if err != nil {
		return err
	}
	return errors.Join(writeTar(f, p.when, entries), f.Close())
}

// writeLayout writes the images, which are in the order of p.arches. The layout names one index, which has them all: readers such as skopeo
// refuse a layout that has several images beside each other.
func (p *packer) writeLayout(dir string, images []v1.Image) error {
	none := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	l, err := layout.Write(dir, none)
	if err != nil {
		return err
	}
	all := none
	for i, img := range images {
		platform := &v1.Platform{OS: "linux", Architecture: p.arches[i]}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return l.AppendIndex(all, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": p.tag(), "io.containerd.image.name": "docker.io/library/faxstream:" + p.tag(),
	}))
}

func (p *packer) writeDockerManifest(img v1.Image, file string) error {
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	d := tarball.Descriptor{Config: blob(m.Config.Digest), RepoTags: []string{"faxstream:" + p.tag()}}
	for _, layer := range m.Layers {
		d.Layers = append(d.Layers, blob(layer.Digest))
	}
	text, err := json.Marshal(tarball.Manifest{d})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// imageFor is the image of one platform: one layer, with one static binary, the certificate authorities for Fax.Plus and S3, and an empty
// state directory of the user.
func (p *packer) imageFor(arch string) (v1.Image, error) {
	program, err := os.ReadFile(p.binaryFile(arch))
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	err = writeTar(&content, p.when, []entry{
		{name: "data", mode: 0o700, uid: nobody, dir: true},
		{name: "etc", mode: 0o755, dir: true},
		{name: "etc/ssl", mode: 0o755, dir: true},
		{name: "etc/ssl/certs", mode: 0o755, dir: true},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: authorities()},
		{name: "faxstream", mode: 0o755, data: program},
	})
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	history := v1.History{Created: v1.Time{Time: p.when}, CreatedBy: "faxstream pack"}
	img, err := mutate.Append(
		mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		mutate.Addendum{Layer: layer, History: history, MediaType: types.OCILayer},
	)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file.Architecture, file.OS, file.Created, file.Config = arch, "linux", v1.Time{Time: p.when}, p.imageConfig()
	return mutate.ConfigFile(img, file)
}

// imageConfig is how the image runs. It has no health check: the image has no shell and no curl, and a client would need a login. Whoever
// runs it asks /healthz and /readyz.
func (p *packer) imageConfig() v1.Config {
	return v1.Config{
		User:         fmt.Sprintf("%d:%d", nobody, nobody),
		Env:          []string{"FAXSTREAM_DIR=/data"},
		Volumes:      map[string]struct{}{"/data": {}},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Entrypoint:   []string{"/faxstream"},
		Cmd:          []string{"serve"},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "faxstream",
			"org.opencontainers.image.description": "Fax.Plus webhooks to archived pages and documents",
			"org.opencontainers.image.version":     p.number,
			"org.opencontainers.image.revision":    p.commit,
			"org.opencontainers.image.created":     p.when.Format(time.RFC3339),
			"org.opencontainers.image.source":      repository,
			"org.opencontainers.image.licenses":    "Apache-2.0",
		},
	}
}

// authorities are Mozilla's, of the version in go.mod. Those that Mozilla trusts only in part are left out: a file cannot say that.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return text.Bytes()
}
