package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/pipeline"
)

// Roles of a process. Every role may be that of many processes at once, which share its work through JetStream.
const (
	RoleWebhook    = "webhook"    // takes webhooks; alone it needs no archive and no login at the provider
	RoleWorker     = "worker"     // fetches pages and whole files, decodes and archives them
	RoleCollector  = "collector"  // makes ledgers of what has happened, and looks after timers
	RoleAssembler  = "assembler"  // makes documents, and carries out what people order
	RoleReconciler = "reconciler" // compares the provider's lists with the faxes that are here, and seals the audit
	RoleOCR        = "ocr"        // reads pages with Tesseract
	RoleAdmin      = "admin"      // serves API and dashboard
)

// Roles are all of them.
func Roles() []string {
	return []string{RoleWebhook, RoleWorker, RoleCollector, RoleAssembler, RoleReconciler, RoleOCR, RoleAdmin}
}

// has reports whether the process has one of some roles.
func (c Config) has(roles ...string) bool {
	return len(c.Roles) == 0 || slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(c.Roles, r) })
}

// OnlyWebhooks reports whether the process has no role but that of taking webhooks.
func (c Config) OnlyWebhooks() bool {
	return len(c.Roles) > 0 && !slices.ContainsFunc(c.Roles, func(r string) bool { return r != RoleWebhook })
}

// checkRoles refuses roles that one process cannot have without others.
func (c Config) checkRoles() error {
	for _, r := range c.Roles {
		if !slices.Contains(Roles(), r) {
			return configErrorf("--roles %s: want some of %s", r, strings.Join(Roles(), ", "))
		}
	}
	switch {
	case len(c.Roles) == 0:
		return nil
	case c.NATS.URL == "":
		return configErrorf("--roles needs --nats-url: other processes, which have the other roles, cannot reach an embedded NATS server")
	case c.Archive.S3 == nil && !c.OnlyWebhooks():
		return configErrorf("--roles needs an archive that several processes can write: give --archive s3://BUCKET")
	case slices.Contains(c.Roles, RoleOCR) && c.OCR == nil:
		return configErrorf("--roles ocr needs --ocr")
	}
	return nil
}

// partOf is the part of the pipeline that a role takes. Other roles take none.
var partOf = map[string]pipeline.Part{
	RoleWorker: pipeline.Fetching, RoleCollector: pipeline.Collecting, RoleAssembler: pipeline.Assembling,
}

// parts are those of the pipeline that the roles take; nil: all.
func (c Config) parts() (parts []pipeline.Part) {
	if len(c.Roles) == 0 {
		return nil
	}
	parts = []pipeline.Part{}
	for role, part := range partOf {
		if c.has(role) {
			parts = append(parts, part)
		}
	}
	return parts
}

// waiting says which of the process's roles wait for something; nil: none does.
func (c Config) waiting(err error, roles ...string) error {
	if err == nil || len(c.Roles) == 0 || !c.has(roles...) {
		return err
	}
	own := slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return !c.has(r) })
	return fmt.Errorf("%s: %w", strings.Join(own, ", "), err)
}
