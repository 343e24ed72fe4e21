package verify

import (
	"errors"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// FaultKind names one kind of fault in an archive.
type FaultKind string

const (
	FaultMissing     FaultKind = "missing"
	FaultAltered     FaultKind = "altered"
	FaultUnreadable  FaultKind = "unreadable"
	FaultNewer       FaultKind = "newer"
	FaultForeign     FaultKind = "foreign"
	FaultContradicts FaultKind = "contradicts"
	FaultChain       FaultKind = "chain"
	FaultUnsigned    FaultKind = "unsigned"
	FaultUnknownKey  FaultKind = "unknown_key"
	FaultSignature   FaultKind = "signature"
	FaultSidecar     FaultKind = "sidecar"
	FaultText        FaultKind = "text"
	FaultSearchable  FaultKind = "searchable"
	FaultDerived     FaultKind = "derived"
	FaultStrip       FaultKind = "strip"
	FaultPages       FaultKind = "pages"
	FaultPixels      FaultKind = "pixels"
	FaultRemade      FaultKind = "remade"
	FaultIndex       FaultKind = "index"
	FaultMisfiled    FaultKind = "misfiled"
	FaultUncommitted FaultKind = "uncommitted"
	FaultGone        FaultKind = "gone"
	FaultPurged      FaultKind = "purged"
)

// faultTexts has two sentences for each kind: what it means, and what to do.
var faultTexts = map[FaultKind][2]string{
	FaultMissing: {
		"An object that the archive names is missing.",
		"Restore it from another version or copy of the archive; the manifest has its hash.",
	},
	FaultAltered: {
		"An object was changed after it was written.",
		"Restore the version with the hash that is in the manifest or in the object's key.",
	},
	FaultUnreadable: {
		"A plan, manifest, report or log is unreadable.",
		"Restore the original version.",
	},
	FaultNewer: {
		"An object has a field that this version of faxstream does not know, so it cannot prove it.",
		"A newer faxstream wrote it: verify with that version or a later one. If you never had a newer one, somebody changed the object: " +
			"restore the original version.",
	},
	FaultForeign: {
		"A plan or manifest belongs to another fax or revision.",
		"Somebody moved objects: restore the original object of this key.",
	},
	FaultContradicts: {
		"The manifest does not agree with its plan or its documents.",
		"The manifest was edited: restore the original version.",
	},
	FaultChain: {
		"The chain of revisions is broken: a revision does not follow the one before it.",
		"A manifest was edited, removed or replaced by another one: restore the original versions.",
	},
	FaultUnsigned: {
		"The manifest has no signature, and a key was given.",
		"If the fax is older than the key, verify it without --key; otherwise the signature was removed.",
	},
	FaultUnknownKey: {
		"The manifest is signed with a key that was not given.",
		"Give every public key that was ever used with --key; if this key was never yours, somebody else made the manifest.",
	},
	FaultSignature: {
		"The signature of the manifest is wrong.",
		"The manifest was edited after it was signed: restore the original version.",
	},
	FaultSidecar: {
		"The sidecar of an object, which says whose it is, is missing or was changed after it was written.",
		"Restore it from another version or copy of the archive.",
	},
	FaultText: {
		"The text of a page was changed after it was written, or belongs to another page.",
		"Restore it from another version or copy of the archive, or remove it and let the OCR engine read the page again.",
	},
	FaultSearchable: {
		"A searchable document is not that of its revision and its texts.",
		"Restore it and its record from another version or copy of the archive, or remove both: they are made again when a text comes.",
	},
	FaultDerived: {
		"A derived document is not that of its order and its revision.",
		"Restore it and its record from another version or copy of the archive, or remove both and derive it again.",
	},
	FaultStrip: {
		"The strip of a page is not at the place in the document that the manifest names.",
		"The manifest was edited, or names another document: restore the original version.",
	},
	FaultPages: {
		"The document does not have the pages that the manifest lists.",
		"The manifest was edited, or names another document: restore the original version.",
	},
	FaultPixels: {
		"A page of the document does not have the pixels of the archived original.",
		"Look at both; `faxstream replay SESSION` makes a new revision from the originals.",
	},
	FaultRemade: {
		"Documents made again from the plan are not those of the manifest, though the same software made them.",
		"The manifest or a document was replaced together with its hash: restore the original versions.",
	},
	FaultIndex: {
		"The fax is not in the index of its day.",
		"Write an object with the text {} and a line break under this key, so that the fax is listed again.",
	},
	FaultMisfiled: {
		"The index has an entry without a fax, or a second entry of a fax under another day or time.",
		"Nothing is lost: remove the entry.",
	},
	FaultUncommitted: {
		"A revision has documents but no manifest.",
		"If `faxstream serve` has not run since a crash, or is working on this fax, let it finish and verify again; " +
			"otherwise the manifest was removed.",
	},
	FaultPurged: {
		"The log says that the fax was purged, but objects of it remain.",
		"If it was purged just now, let `faxstream serve` finish and verify again; " +
			"otherwise somebody else changed the log: find out who, and restore the original log.",
	},
	FaultGone: {
		"The index lists a fax that is not in the archive.",
		"Restore the fax from another version or copy of the archive.",
	},
}

// Fault is one fault in an archive.
type Fault struct {
	Kind  FaultKind `json:"kind"`
	Where string    `json:"where"`          // key of the object
	Page  int       `json:"page,omitempty"` // from 1; 0: not of one page
	What  string    `json:"what"`           // a sentence that is the same for all faults of a kind, and maybe another one with details
	Do    string    `json:"do"`             // a sentence that says what to do
}

// Finding is the result of checking one fax.
type Finding struct {
	Session    string  `json:"session"`
	Revisions  int     `json:"revisions"`  // revisions with a manifest; 0: the fax has no document yet
	Pages      int     `json:"pages"`      // pages of the newest revision, with the missing ones
	Signed     int     `json:"signed"`     // revisions with a correct signature
	Unverified int     `json:"unverified"` // signed revisions, but no key was given
	Unsigned   int     `json:"unsigned"`   // revisions without a signature
	Remade     int     `json:"remade"`     // revisions whose documents were made again with exactly the same bytes
	Objects    int     `json:"objects"`    // objects read
	Bytes      int64   `json:"bytes"`      // bytes read of these objects
	Unused     int     `json:"unused"`     // received objects that no revision uses: rejected bytes, pages for which there is a better one
	Orphans    int     `json:"orphans"`    // objects that nothing explains; a crash may leave them
	Faults     []Fault `json:"faults"`

	indexed string // key of the index entry that it must have; "": unknown, there is no revision
}

// unreadable adds the fault of an object that could not be parsed: of a kind, or that a newer version of faxstream wrote it.
func (f *Finding) unreadable(kind FaultKind, where string, err error) {
	if errors.Is(err, archive.ErrNewer) {
		kind = FaultNewer
	}
	f.fault(kind, where, 0, err.Error())
}

// fault adds a fault. details is a sentence without its full stop, or empty.
func (f *Finding) fault(kind FaultKind, where string, page int, details string) {
	text := faultTexts[kind]
	what := text[0]
	if details != "" {
		what += " " + details + "."
	}
	f.Faults = append(f.Faults, Fault{Kind: kind, Where: where, Page: page, What: what, Do: text[1]})
}
