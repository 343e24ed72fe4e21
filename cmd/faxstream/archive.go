package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/storage/s3"
)

// archiveStore is where objects are archived.
type archiveStore struct {
	Dir string `default:"./faxstream-data" type:"path" help:"Directory of all local state: JetStream, archive, scratch files. It is created when it does not exist."`

	Archive         string `placeholder:"s3://BUCKET/PREFIX" help:"Where objects are archived. Empty: plain files in --dir."`
	S3Endpoint      string `name:"s3-endpoint" env:"FAXSTREAM_S3_ENDPOINT" placeholder:"URL" help:"S3 service of --archive. Empty: Amazon."`
	S3Region        string `name:"s3-region" env:"FAXSTREAM_S3_REGION" default:"us-east-1" help:"Region of --archive."`
	S3AccessKeyFile string `name:"s3-access-key-file" env:"FAXSTREAM_S3_ACCESS_KEY_FILE" type:"path" placeholder:"FILE" help:"Access key of --archive. Empty: FAXSTREAM_S3_ACCESS_KEY or AWS_ACCESS_KEY_ID in the environment."`
	S3SecretKeyFile string `name:"s3-secret-key-file" env:"FAXSTREAM_S3_SECRET_KEY_FILE" type:"path" placeholder:"FILE" help:"Secret key of --archive. Empty: FAXSTREAM_S3_SECRET_KEY or AWS_SECRET_ACCESS_KEY in the environment."`
	S3Addressing    string `name:"s3-addressing" env:"FAXSTREAM_S3_ADDRESSING" default:"auto" enum:"auto,path,virtual-host" help:"Where requests name the bucket: ${enum}. path: https://host/bucket/key; virtual-host: https://bucket.host/key; auto: in the host at Amazon, else in the path."`
	S3CA            string `name:"s3-ca" env:"FAXSTREAM_S3_CA" type:"path" placeholder:"FILE" help:"PEM file of certificate authorities to trust for --s3-endpoint, in addition to the system's."`
}

// archiveTerms is how the S3 service of the archive treats new objects.
type archiveTerms struct {
	S3SSE         string        `name:"s3-sse" env:"FAXSTREAM_S3_SSE" default:"none" placeholder:"none|s3|kms:KEYID" help:"How the S3 service encrypts new objects. none: as the bucket is configured; s3: with the service's own keys; kms:KEYID: with this key of its key management."`
	Retention     app.Retention `default:"auto" placeholder:"TIME" help:"How long a fax cannot be purged after its last object was written: a number with h, d or y (of 366 days), such as 6y. With --archive s3://... the bucket must have Object Lock, which also stops everybody else from deleting the objects; faxstream tests this at the start. auto: 6y, with only a warning when the bucket has no Object Lock. 0: none."`
	RetentionMode string        `default:"governance" enum:"governance,compliance" help:"Who must obey --retention: ${enum}. governance: everybody except users with the permission to bypass it. compliance: everybody, with no way out before the end; try it first on a bucket that you do not need."`
}

// config is what a process that writes to the archive needs of it.
func (c archiveStore) config(getenv func(string) string) (app.Archive, error) {
	if c.Archive == "" {
		return app.Archive{Dir: c.path("archive")}, nil
	}
	cfg := s3.Config{Endpoint: c.S3Endpoint, Region: c.S3Region, Addressing: s3.Addressing(strings.TrimPrefix(c.S3Addressing, "auto"))}
	var err error
	if cfg.Bucket, cfg.Prefix, err = s3.ParseURL(c.Archive); err != nil {
		return app.Archive{}, usagef("--archive: %w", err)
	}
	if cfg.AccessKey, err = secret(getenv, c.S3AccessKeyFile, "FAXSTREAM_S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"); err != nil {
		return app.Archive{}, usagef("access key of --archive: %w", err)
	}
	if cfg.SecretKey, err = secret(getenv, c.S3SecretKeyFile, "FAXSTREAM_S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"); err != nil {
		return app.Archive{}, usagef("secret key of --archive: %w", err)
	}
	if c.S3CA != "" {
		if cfg.CA, err = os.ReadFile(c.S3CA); err != nil {
			return app.Archive{}, usagef("--s3-ca: %w", err)
		}
	}
	return app.Archive{S3: &cfg}, nil
}

// openReader opens the archive for reading. An --archive that is not an s3:// URL is a directory here.
func (c archiveStore) openReader(ctx context.Context, getenv func(string) string) (archive.Reader, func() error, error) {
	archive := app.Archive{Dir: c.where()}
	if strings.HasPrefix(c.Archive, "s3://") {
		var err error
		if archive, err = c.config(getenv); err != nil {
			return nil, nil, err
		}
	}
	reader, done, err := archive.OpenReader(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w (--dir and --archive must be those of faxstream serve)", err)
	}
	return reader, done, err
}

// where names the archive for people.
func (c archiveStore) where() string {
	if c.Archive != "" {
		return c.Archive
	}
	return c.path("archive")
}

// path is a directory below --dir.
func (c archiveStore) path(name string) string { return filepath.Join(c.Dir, name) }

// secret reads a key from its file, or else from the first variable that is set.
func secret(getenv func(string) string, file string, names ...string) (string, error) {
	if file != "" {
		return flags.ReadLine(file)
	}
	for _, name := range names {
		if v := getenv(name); v != "" {
			return v, nil
		}
	}
	return "", fmt.Errorf("no file is given, and neither %s nor %s is set in the environment", names[0], names[1])
}

// put sets the terms in the configuration of a bucket.
func (t archiveTerms) put(a app.Archive) error {
	switch {
	case a.S3 == nil && t.S3SSE != "none" && t.S3SSE != "":
		return usagef("--s3-sse needs --archive s3://BUCKET/PREFIX")
	case a.S3 == nil:
		return nil
	}
	a.S3.Mode = s3.Mode(t.RetentionMode)
	if t.S3SSE != "none" {
		a.S3.Encryption = t.S3SSE
	}
	return nil
}
