package api

// SearchResult are faxes of which pages are found, newest first: GET /search. Next, where it is not empty, is the cursor of the following
// ones.
type SearchResult struct {
	Faxes      []FoundFax `json:"faxes"`
	Next       string     `json:"next,omitempty"`
	Incomplete string     `json:"incomplete,omitempty"` // a sentence: why faxes may be missing
}

// FoundFax is a fax with pages that are found.
type FoundFax struct {
	Fax
	Found []FoundPage `json:"found"` // ascending; at most 10
}

// FoundPage is a page that is found.
type FoundPage struct {
	Page    int    `json:"page"`    // from 1; 0: the numbers, the date or the session of the fax
	Snippet []Part `json:"snippet"` // the words around what is found, in their order
}

// Part is a part of a text.
type Part struct {
	Text string `json:"text"`
	Hit  bool   `json:"hit,omitempty"` // it is what was looked for
}
