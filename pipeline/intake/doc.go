// Package intake turns the bytes of a page into a published page: it archives the original, decodes it, archives the PNG for OCR and
// records page.archived. Begin with Pages.ArchiveOriginal, Pages.Decode and Pages.Publish.
//
// Promise: the original is archived, unchanged, before anything decodes it. Bytes that are no page give a *Failure that says why.
// Of several images of one page every process chooses the same one.
//
// # What a crash leaves
//
//	after           the next run finds
//	original        the page in the archive (Pages.Lookup): nobody fetches it again
//	PNG             the same PNG under the same key
//	page.archived   the fact on its subject: nothing is published twice
package intake
