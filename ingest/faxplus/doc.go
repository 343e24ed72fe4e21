// Package faxplus is the only package that knows Fax.Plus: the bodies of its webhooks and its REST API.
//
// Start with ParseEvent, which reads a webhook's body, and NewClient, which fetches page files and whole faxes, lists
// faxes, and registers webhooks. Both accept what the provider may change (numbers as strings, unknown fields, unknown
// statuses). Both check what the rest of faxstream needs: session ids that are valid in subjects and archive keys,
// bodies within limits, and TIFF if TIFF was requested.
//
// The package stores nothing: after a crash the caller makes the same call again. Only AddHook is not safe to repeat; a
// second call registers a second webhook.
//
// Webhooks: https://docs.fax.plus (Webhook). REST: https://restapi.fax.plus/v3. The path of a single page is in no
// public document; it is configuration (Config.PagePath).
package faxplus
