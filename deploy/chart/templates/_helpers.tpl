{{/* What a role needs beside NATS. That of webhooks has no key of the archive and no login at the provider. */}}
{{- define "faxstream.archive" }}{{ if ne . "webhook" }}yes{{ end }}{{ end }}
{{- define "faxstream.provider" }}{{ if has . (list "worker" "reconciler" "admin") }}yes{{ end }}{{ end }}
{{- define "faxstream.signs" }}{{ if has . (list "assembler" "reconciler") }}yes{{ end }}{{ end }}

{{- define "faxstream.labels" -}}
app.kubernetes.io/name: faxstream
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{/* The secret with the login of a role at NATS, if there is one. */}}
{{- define "faxstream.natsSecret" }}{{ .config.natsSecret | default .root.Values.nats.secret }}{{ end }}

{{/* The secrets of a role, each a directory below /run/faxstream. */}}
{{- define "faxstream.secrets" -}}
{{- $v := .root.Values }}
{{- $secrets := dict }}
{{- if $v.nats.creds }}{{ $_ := set $secrets "nats" (include "faxstream.natsSecret" . | required "nats.creds: name the secret with nats.creds and url in nats.secret") }}{{ end }}
{{- with $v.nats.ca }}{{ $_ := set $secrets "nats-ca" . }}{{ end }}
{{- if include "faxstream.archive" .role }}{{ $_ := set $secrets "archive" $v.archive.secret }}{{ end }}
{{- if include "faxstream.provider" .role }}{{ $_ := set $secrets "provider" $v.provider.secret }}{{ end }}
{{- if eq .role "webhook" }}{{ $_ := set $secrets "webhook" $v.webhook.secret }}{{ end }}
{{- if eq .role "admin" }}{{ $_ := set $secrets "admin" $v.admin.secret }}{{ else }}{{ $_ := set $secrets "metrics" $v.metrics.secret }}{{ end }}
{{- with $v.tls.secret }}{{ $_ := set $secrets "tls" . }}{{ end }}
{{- if and $v.sign.secret (include "faxstream.signs" .role) }}{{ $_ := set $secrets "sign" $v.sign.secret }}{{ end }}
{{- toYaml $secrets }}
{{- end }}

{{- define "faxstream.args" -}}
{{- $v := .root.Values -}}
- serve
- --roles={{ .role }}
- --dir=/data
{{- if not (include "faxstream.natsSecret" .) }}
- --nats-url={{ $v.nats.url }}
{{- end }}
- --nats-replicas={{ $v.nats.replicas }}
{{- if $v.nats.creds }}
- --nats-creds=/run/faxstream/nats/nats.creds
{{- end }}
{{- if $v.nats.ca }}
- --nats-ca=/run/faxstream/nats-ca/ca.pem
{{- end }}
- --admin-addr=0.0.0.0:8081
{{- if $v.tls.secret }}
- --admin-cert=/run/faxstream/tls/tls.crt
- --admin-key=/run/faxstream/tls/tls.key
{{- else }}
- --admin-plain-http
{{- end }}
{{- if eq .role "admin" }}
- --admin-tokens=/run/faxstream/admin/tokens
- --admin-users=/run/faxstream/admin/users
{{- else }}
- --admin-tokens=/run/faxstream/metrics/tokens
{{- end }}
{{- if include "faxstream.archive" .role }}
- --archive={{ $v.archive.url }}
{{- with $v.archive.endpoint }}
- --s3-endpoint={{ . }}
{{- end }}
- --s3-region={{ $v.archive.region }}
- --s3-access-key-file=/run/faxstream/archive/access-key
- --s3-secret-key-file=/run/faxstream/archive/secret-key
{{- with $v.archive.retention }}
- --retention={{ . }}
{{- end }}
- --faxplus-page-path={{ $v.provider.pagePath }}
- --public-url={{ $v.admin.publicURL }}
{{- end }}
{{- if include "faxstream.provider" .role }}
- --faxplus-token-file=/run/faxstream/provider/token
{{- end }}
{{- if and $v.sign.secret (include "faxstream.signs" .role) }}
- --sign-key=/run/faxstream/sign/sign.key
{{- end }}
{{- if eq .role "webhook" }}
- --webhook-addr=0.0.0.0:8080
- --webhook-secret-file=/run/faxstream/webhook/secret
{{- with $v.webhook.trustedProxies }}
- --trusted-proxies={{ join "," . }}
{{- end }}
{{- with $v.webhook.allowFrom }}
- --allow-from={{ join "," . }}
{{- end }}
{{- end }}
{{- if eq .role "ocr" }}
- --ocr
{{- end }}
{{- range concat $v.extraArgs (.config.args | default list) }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* How a role says that it is ready. Dashboard and API stay while archive or provider are away; webhooks stay while NATS stores them. */}}
{{- define "faxstream.ready" -}}
{{- if eq .role "webhook" -}}
httpGet: {path: /readyz, port: webhook}
{{- else -}}
httpGet: {path: {{ if eq .role "admin" }}/healthz{{ else }}/readyz{{ end }}, port: admin{{ if .root.Values.tls.secret }}, scheme: HTTPS{{ end }}}
{{- end }}
{{- end }}
