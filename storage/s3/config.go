package s3

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/faxstream/faxstream/storage"
)

// Addressing says where requests name the bucket.
type Addressing string

// The ways to name the bucket.
const (
	Auto        Addressing = ""             // in the host name at Amazon, in the path elsewhere
	Path        Addressing = "path"         // https://host/bucket/key
	VirtualHost Addressing = "virtual-host" // https://bucket.host/key
)

// Config says which bucket, where and as whom. Bucket, AccessKey and
// SecretKey have no default.
type Config struct {
	Bucket string // it must exist
	Prefix string // of all keys; "" or "a/b", without slashes at its ends; at most 100 bytes

	// Endpoint is the service's URL, http or https, without a path. Without a
	// scheme it is https. Default https://s3.amazonaws.com.
	Endpoint string
	// Region signs the requests. Default us-east-1, which services that have
	// no regions take.
	Region string

	AccessKey, SecretKey string

	Addressing Addressing
	CA         []byte // PEM certificates to trust besides the system's

	// Encryption is how the service encrypts new objects: "" as the bucket
	// says, "s3" with keys of the service's own, "kms:KEYID" with that key of
	// its key management.
	Encryption string

	// Retention is for how long after its write no version of an object can
	// be deleted, by Object Lock; 0 sets none. What is there already keeps
	// what it has. That the bucket keeps it is tried out once.
	Retention time.Duration
	// Mode says whom the retention binds. Default Governance.
	Mode Mode
	// NoRetention, where it is set, is told at most once why the bucket cannot
	// keep Retention, and the store then works without. Otherwise that is an
	// error of Open, or of Create where the service was away at Open.
	NoRetention func(error)
}

// Mode is a mode of Object Lock.
type Mode string

// The modes.
const (
	Governance Mode = "governance" // whoever has s3:BypassGovernanceRetention may delete all the same
	Compliance Mode = "compliance" // nobody may, also the account's owner
)

// maxPrefix keeps prefix and key below the 1,024 bytes of S3.
const maxPrefix = 100

// ParseURL takes s3://bucket/prefix apart. The prefix may be missing.
func ParseURL(s string) (bucket, prefix string, err error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "s3" || u.User != nil || u.Port() != "" || u.RawQuery != "" || u.Fragment != "" {
		// Not shown: people put keys into such addresses.
		return "", "", errors.New("archive address is not of the form s3://bucket/prefix")
	}
	c := Config{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	return c.Bucket, c.Prefix, c.checkNames()
}

func (c Config) checkNames() error {
	if err := s3utils.CheckValidBucketNameStrict(c.Bucket); err != nil {
		return fmt.Errorf("bucket name %q: %w", c.Bucket, err)
	}
	if c.Prefix == "" {
		return nil
	}
	if len(c.Prefix) > maxPrefix {
		return fmt.Errorf("prefix is %d bytes long, at most %d are allowed", len(c.Prefix), maxPrefix)
	}
	if err := storage.ValidKey(c.Prefix); err != nil {
		return fmt.Errorf("prefix: %w", err)
	}
	return nil
}

// core makes the client. It does not retry by itself: [Store] does.
func (c Config) core() (*minio.Core, error) {
	if err := c.checkNames(); err != nil {
		return nil, err
	}
	if c.AccessKey == "" || c.SecretKey == "" {
		return nil, errors.New("access key and secret key are needed")
	}
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = "s3.amazonaws.com"
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("endpoint %q is not of the form https://host or http://host:port", u.Redacted())
	}
	lookup, ok := map[Addressing]minio.BucketLookupType{
		Auto: minio.BucketLookupAuto, Path: minio.BucketLookupPath, VirtualHost: minio.BucketLookupDNS,
	}[c.Addressing]
	if !ok {
		return nil, fmt.Errorf("addressing %q is neither %q nor %q", c.Addressing, Path, VirtualHost)
	}
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	region := c.Region
	if region == "" {
		region = s3utils.GetRegionFromURL(*u)
	}
	if region == "" {
		region = "us-east-1"
	}
	return minio.NewCore(u.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""),
		Secure:       u.Scheme == "https",
		Region:       region,
		BucketLookup: lookup,
		Transport:    transport,
		MaxRetries:   1,
	})
}

func (c Config) transport() (*http.Transport, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("system's certificates: %w", err)
		}
		if !pool.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("CA holds no PEM certificate")
		}
		tlsConfig.RootCAs = pool
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 5 * time.Second,
		// All connections go to one host; page workers and readers together
		// stay below this, and a new connection costs three round trips.
		MaxIdleConns:        128,
		MaxIdleConnsPerHost: 128,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // objects are what they are
		ForceAttemptHTTP2:   false,
	}, nil
}
