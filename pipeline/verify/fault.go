package verify

// FaultKind names one way in which an archive can be wrong.
type FaultKind string

const (
	FaultMissing     FaultKind = "missing"
	FaultAltered     FaultKind = "altered"
	FaultUnreadable  FaultKind = "unreadable"
	FaultForeign     FaultKind = "foreign"
	FaultContradicts FaultKind = "contradicts"
	FaultChain       FaultKind = "chain"
	FaultUnsigned    FaultKind = "unsigned"
	FaultUnknownKey  FaultKind = "unknown_key"
	FaultSignature   FaultKind = "signature"
	FaultSidecar     FaultKind = "sidecar"
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

// faultTexts has for each kind one sentence that says what it means, and one that says what to do.
var faultTexts = map[FaultKind][2]string{
	FaultMissing:     {"An object that the archive names is not there.", "Bring it back from another version or copy of the archive; the manifest has its hash."},
	FaultAltered:     {"An object is not what was written.", "Bring back the version that has the hash of the manifest or of the object's key."},
	FaultUnreadable:  {"A plan, manifest, report or log cannot be read.", "Bring back the version that was written; if a newer faxstream wrote it, verify with that one."},
	FaultForeign:     {"A plan or manifest belongs to another fax or revision.", "Somebody has moved objects: bring back what was at this key."},
	FaultContradicts: {"The manifest says something else than the plan and the documents that it names.", "It was edited: bring back the version that was written."},
	FaultChain:       {"The chain of revisions is broken: a revision does not follow from the one before it.", "A manifest was edited, removed or put in another's place: bring back the versions that were written."},
	FaultUnsigned:    {"The manifest has no signature, and a key was given.", "If the fax is older than the key, verify it without --key; otherwise its signature was removed."},
	FaultUnknownKey:  {"The manifest is signed with a key that was not given.", "Give every public key that was ever used with --key; if this one never was, somebody else made the manifest."},
	FaultSignature:   {"The signature of the manifest is wrong.", "The manifest was edited after it was signed: bring back the version that was written."},
	FaultSidecar:     {"What stands beside an object to say whose it is, is missing or is not what was written.", "Bring it back from another version or copy of the archive."},
	FaultStrip:       {"A page's strip is not in the document where the manifest says.", "The manifest was edited, or names another document: bring back the version that was written."},
	FaultPages:       {"The document does not have the pages that the manifest says.", "The manifest was edited, or names another document: bring back the version that was written."},
	FaultPixels:      {"A page of the document does not have the pixels of the archived original.", "Look at both; `faxstream replay SESSION` makes a new revision from the originals."},
	FaultRemade:      {"The documents that the plan gives are not those of the manifest, though the same software made them.", "The manifest or a document was replaced together with its hash: bring back the versions that were written."},
	FaultIndex:       {"The fax is not in the index of its day.", "Put an object with the text {} and a line break there, so that it is listed again."},
	FaultMisfiled:    {"The index has an entry that lists no fax, or lists one a second time under another day or time.", "Nothing is lost: remove the entry."},
	FaultUncommitted: {"A revision has documents and no manifest.", "If `faxstream serve` has not run since a crash, or is at work on this fax, let it and verify again; otherwise the manifest was removed."},
	FaultPurged:      {"The log says that the fax was purged, and something of it is still there.", "If it was purged just now, let `faxstream serve` end that and verify again; otherwise somebody else wrote the log: look who, and bring back the one that was."},
	FaultGone:        {"The index lists a fax that is not in the archive.", "Bring the fax back from another version or copy of the archive."},
}

// Fault is one thing that is wrong in an archive.
type Fault struct {
	Kind  FaultKind `json:"kind"`
	Where string    `json:"where"`          // key of the object
	Page  int       `json:"page,omitempty"` // from 1; 0: not of one page
	What  string    `json:"what"`           // a sentence, the same for all faults of a kind, and the particulars
	Do    string    `json:"do"`
}

// Finding is what checking one fax came to.
type Finding struct {
	Session    string  `json:"session"`
	Revisions  int     `json:"revisions"`  // that have a manifest; 0: the fax has no document yet
	Pages      int     `json:"pages"`      // of the newest revision, there or missing
	Signed     int     `json:"signed"`     // revisions whose signature is right
	Unverified int     `json:"unverified"` // signed revisions, but no key was given
	Unsigned   int     `json:"unsigned"`   // revisions without a signature
	Remade     int     `json:"remade"`     // revisions whose documents came out the same, byte for byte, when they were made again
	Objects    int     `json:"objects"`    // read
	Bytes      int64   `json:"bytes"`      // read, of the objects
	Orphans    int     `json:"orphans"`    // objects that no manifest names; a crash may leave them
	Faults     []Fault `json:"faults"`

	indexed string // key of the index entry that it must have; "": no revision says
}

func (f *Finding) fault(kind FaultKind, where string, page int, particulars string) {
	text := faultTexts[kind]
	what := text[0]
	if particulars != "" {
		what += " " + particulars + "."
	}
	f.Faults = append(f.Faults, Fault{Kind: kind, Where: where, Page: page, What: what, Do: text[1]})
}
