// Package intake makes a published page from the bytes of a page: it archives the original, decodes it, archives the PNG for OCR and
// records page.archived. Begin with Pages.ArchiveOriginal, Pages.Decode and Pages.Publish.
//
// Promise: the original is archived, unchanged, before it is decoded. Bytes that cannot be decoded give a *Failure that says why. If
// there are several images of one page, every process chooses the same one.
//
// # What a crash leaves
//
//	after           the next run finds
//	original        the page in the archive (Pages.Lookup): it does not fetch the page again
//	PNG             the same PNG under the same key
//	page.archived   the fact on its subject: it publishes nothing twice
package intake
