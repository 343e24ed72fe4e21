// Package faxplus is the only one that knows Fax.Plus: the bodies of its webhooks and its REST API.
//
// Start with ParseEvent, which reads a webhook's body, and NewClient, which fetches page files and whole faxes, lists
// faxes, and registers webhooks. Both are tolerant of what the provider does not promise (numbers as strings, unknown fields,
// unknown statuses) and strict about what the rest of faxstream relies on: session ids that may stand in subjects and
// archive keys, bodies within limits, and TIFF where TIFF was asked for.
//
// Webhooks: https://docs.fax.plus (Webhook). REST: https://restapi.fax.plus/v3. The path of a single page is in no
// public document; it is configuration (Config.PagePath).
package faxplus
