{{- /*
Helpers that kai gives to every chart it generates.
*/ -}}

{{- /* The name of the chart's objects. It never depends on the release, so that addresses are known beforehand. */ -}}
{{- define "kai.name" -}}
{{- .Values.fullnameOverride | default .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* The chart's name and version, as a label's value. */ -}}
{{- define "kai.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* The version of what runs, as a label's value; empty where it is unknown. */ -}}
{{- define "kai.version" -}}
{{- $version := (.Values.image).tag | default .Chart.AppVersion | default "" -}}
{{- regexReplaceAll "[^A-Za-z0-9_.-]" (include "kai.text" $version) "_" | trunc 63 | trimAll "-_." -}}
{{- end -}}

{{- /* The labels of every object. */ -}}
{{- define "kai.labels" -}}
{{ include "kai.selectorLabels" . }}
{{- with include "kai.version" . }}
app.kubernetes.io/version: {{ toYaml . }}
{{- end }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.partOf }}
app.kubernetes.io/part-of: {{ toYaml . }}
{{- end }}
helm.sh/chart: {{ include "kai.chart" . }}
{{- end -}}

{{- /* What selects the chart's pods. Selectors cannot be changed later, so these two labels must stay as they are. */ -}}
{{- define "kai.selectorLabels" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default (include "kai.name" .) | toYaml }}
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end -}}

{{- /* The labels of the chart's pods: the friends' let their NetworkPolicies admit them. */ -}}
{{- define "kai.podLabels" -}}
{{- $labels := dict -}}
{{- range $name, $value := .Values.labels -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $labels $name (include "kai.text" $value) -}}
{{- end -}}
{{- end -}}
{{- range .Values.friends -}}
{{- $_ := set $labels (printf "friend.kai/%s" .) "true" -}}
{{- end -}}
{{- with include "kai.version" . -}}
{{- $_ := set $labels "app.kubernetes.io/version" . -}}
{{- end -}}
{{- with .Values.partOf -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" . -}}
{{- end -}}
{{- range $name, $value := include "kai.selectorLabels" . | fromYaml -}}
{{- $_ := set $labels $name $value -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{- /* An object's metadata: (dict "root" $ "name" NAME "labels" MAP "annotations" MAP); the name defaults to kai.name. */ -}}
{{- define "kai.metadata" -}}
{{- $labels := include "kai.labels" .root -}}
{{- if .labels -}}
{{- $all := fromYaml $labels -}}
{{- range $name, $value := .labels -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $all $name (include "kai.text" $value) -}}
{{- end -}}
{{- end -}}
{{- $labels = toYaml $all -}}
{{- end -}}
{{- $annotations := dict -}}
{{- range $name, $value := .annotations -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $annotations $name (include "kai.text" $value) -}}
{{- end -}}
{{- end -}}
metadata:
  name: {{ .name | default (include "kai.name" .root) | toYaml }}
  labels:
    {{- $labels | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- /* An image's reference, from a map of its parts. */ -}}
{{- define "kai.image" -}}
{{- with .registry }}{{ . }}/{{ end -}}
{{- .repository -}}
{{- with .tag }}:{{ include "kai.text" . }}{{ end -}}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- /* A value as text: strings as they are, all else as JSON, since Go's own form of 1000000 is 1e+06. */ -}}
{{- define "kai.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{- /* A value as a quoted string. */ -}}
{{- define "kai.value" -}}
{{- include "kai.text" . | quote -}}
{{- end -}}

{{- /* Environment variables: (dict "root" $ "env" MAP "order" NAMES). Kubernetes expands $(NAME) only if NAME stands before,
hence the order: first the names it gives, then the others sorted. */ -}}
{{- define "kai.env" -}}
{{- $root := .root -}}
{{- $env := .env | default dict -}}
{{- range $name := concat (.order | default list) (keys $env | sortAlpha) | uniq -}}
{{- $value := get $env $name -}}
{{- if and (hasKey $env $name) (not (kindIs "invalid" $value)) }}
- name: {{ toYaml $name }}
  {{- if not (kindIs "map" $value) }}
  value: {{ include "kai.value" $value }}
  {{- else if hasKey $value "secret" }}
  valueFrom:
    secretKeyRef:
      name: {{ include "kai.secretName" $root | toYaml }}
      key: {{ toYaml $value.secret }}
  {{- else if hasKey $value "credential" }}
  valueFrom:
    secretKeyRef:
      name: {{ include "kai.credentialName" (dict "root" $root "friend" $value.credential) | toYaml }}
      key: {{ toYaml $value.key }}
  {{- else }}
  valueFrom:
    {{- toYaml $value.valueFrom | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The name of the Secret with the service's own secrets. */ -}}
{{- define "kai.secretName" -}}
{{- $secrets := .Values.secrets | default dict -}}
{{- $secrets.existingSecret | default $secrets.name | default (printf "%s-secrets" (include "kai.name" .)) -}}
{{- end -}}

{{- /* The name of the Secret with a friend's credentials: (dict "root" $ "friend" NAME). */ -}}
{{- define "kai.credentialName" -}}
{{- $friend := get ((.root.Values.secrets).friends | default dict) .friend | default dict -}}
{{- $friend.existingSecret | default $friend.name | default (printf "%s-%s-credentials" (include "kai.name" .root) .friend) -}}
{{- end -}}

{{- /* Notes the Secrets of the chart's own, by where its values speak of them: (dict "root" $ "into" MAP). One that is
external is made by an operator: its values say where it is kept, and give no values for it. */ -}}
{{- define "kai.ownSecrets" -}}
{{- $root := .root -}}
{{- $into := .into -}}
{{- $secrets := .root.Values.secrets | default dict -}}
{{- if not $secrets.existingSecret -}}
{{- $_ := set $into "secrets" (dict "name" (include "kai.secretName" .root) "type" "Opaque" "keys" $secrets.keys "of" $secrets) -}}
{{- end -}}
{{- range $name, $friend := $secrets.friends -}}
{{- if and $friend $friend.create (not $friend.existingSecret) -}}
{{- $secretName := include "kai.credentialName" (dict "root" $root "friend" $name) -}}
{{- $_ := set $into (printf "secrets.friends.%s" $name) (dict "name" $secretName "type" "Opaque" "keys" $friend.keys "of" $friend) -}}
{{- end -}}
{{- end -}}
{{- range $name, $tls := $secrets.tls -}}
{{- if and $tls (not $tls.existingSecret) -}}
{{- $_ := set $into (printf "secrets.tls.%s" $name) (dict "name" $tls.name "type" "kubernetes.io/tls" "keys" (list "tls.crt" "tls.key") "of" $tls) -}}
{{- end -}}
{{- end -}}
{{- range $into -}}
{{- $_ := set . "values" .of.values -}}
{{- $_ := set . "external" (and $secrets.external .of.remote (not .of.values) | empty | not) -}}
{{- end -}}
{{- end -}}

{{- /* The name under which the cluster knows a TLS Secret: (dict "root" $ "name" NAME). */ -}}
{{- define "kai.tlsSecretName" -}}
{{- $name := .name -}}
{{- range (.root.Values.secrets).tls -}}
{{- if and (eq .name $.name) .existingSecret -}}
{{- $name = .existingSecret -}}
{{- end -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- /* The routes reached from outside of the cluster, as JSON: those of a Service that have a hostname, paths or a
port of the gateway. */ -}}
{{- define "kai.exposedRoutes" -}}
{{- $exposed := dict -}}
{{- range $name, $route := .Values.routes -}}
{{- if and $route $route.port (or $route.hostname $route.paths $route.gatewayPort) -}}
{{- $_ := set $exposed $name $route -}}
{{- end -}}
{{- end -}}
{{- toJson $exposed -}}
{{- end -}}

{{- /* The ports of a NetworkPolicy's rule for a map of routes: each container port once. */ -}}
{{- define "kai.policyPorts" -}}
{{- $seen := list -}}
{{- range . -}}
{{- $port := printf "%d/%s" (int .containerPort) (.protocol | default "TCP") -}}
{{- if not (has $port $seen) }}
{{- if $seen }}{{ "\n" }}{{ end -}}
{{- $seen = append $seen $port -}}
- port: {{ int .containerPort }}
  protocol: {{ .protocol | default "TCP" }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Gives an object's text with the user's patch for its kind: (dict "root" $ "kind" KIND "object" TEXT). */ -}}
{{- define "kai.patched" -}}
{{- $patch := get (.root.Values.patches | default dict) .kind -}}
{{- if $patch -}}
{{- $object := fromYaml .object -}}
{{- if hasKey $object "Error" -}}
{{- fail (printf "%s: the %s to be patched is not YAML: %s" (include "kai.name" .root) .kind $object.Error) -}}
{{- end -}}
{{- include "kai.merge" (dict "into" $object "patch" $patch) -}}
{{- toYaml $object -}}
{{- else -}}
{{- .object -}}
{{- end -}}
{{- end -}}

{{- /* Merges a patch into a map, in place: (dict "into" MAP "patch" MAP). It is RFC 7396, but lists of things that all have a
name merge by it. One volume may be mounted several times: with a mountPath an item means that mount alone. What null
deletes, {$patch: delete} deletes as well, since Helm 4 drops the nulls of a values file before a template sees them. */ -}}
{{- define "kai.merge" -}}
{{- $into := .into -}}
{{- range $key, $value := .patch -}}
{{- $old := get $into $key -}}
{{- if eq (include "kai.deletes" $value) "true" -}}
{{- $_ := unset $into $key -}}
{{- else if kindIs "map" $value -}}
{{- if not (kindIs "map" $old) -}}
{{- $old = dict -}}
{{- end -}}
{{- include "kai.merge" (dict "into" $old "patch" $value) -}}
{{- $_ := set $into $key $old -}}
{{- else if eq (include "kai.named" $value) "true" -}}
{{- if ne (include "kai.named" $old) "true" -}}
{{- $old = list -}}
{{- end -}}
{{- $_ := set $into $key (include "kai.mergeNamed" (dict "into" $old "patch" $value) | fromJsonArray) -}}
{{- else -}}
{{- $_ := set $into $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Merges a list of named things into another, and gives the result as JSON: (dict "into" LIST "patch" LIST). */ -}}
{{- define "kai.mergeNamed" -}}
{{- $items := .into -}}
{{- range $change := .patch -}}
{{- $found := false -}}
{{- $kept := list -}}
{{- range $item := $items -}}
{{- $samePath := or (not (hasKey $change "mountPath")) (eq (toString $item.mountPath) (toString $change.mountPath)) -}}
{{- if not (and (eq (toString $item.name) (toString $change.name)) $samePath) -}}
{{- $kept = append $kept $item -}}
{{- else -}}
{{- $found = true -}}
{{- if ne (include "kai.deletes" $change) "true" -}}
{{- include "kai.merge" (dict "into" $item "patch" $change) -}}
{{- $kept = append $kept $item -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or $found (eq (include "kai.deletes" $change) "true")) -}}
{{- $new := dict -}}
{{- include "kai.merge" (dict "into" $new "patch" $change) -}}
{{- $kept = append $kept $new -}}
{{- end -}}
{{- $items = $kept -}}
{{- end -}}
{{- toJson $items -}}
{{- end -}}

{{- /* Whether a patch's value deletes what it stands for. */ -}}
{{- define "kai.deletes" -}}
{{- if kindIs "map" . -}}
{{- eq (get . "$patch" | toString) "delete" -}}
{{- else -}}
{{- kindIs "invalid" . -}}
{{- end -}}
{{- end -}}

{{- /* Whether a value is a list, not empty, of maps that all have a name. */ -}}
{{- define "kai.named" -}}
{{- $named := and (kindIs "slice" .) (not (empty .)) -}}
{{- if $named -}}
{{- range . -}}
{{- if not (and (kindIs "map" .) (hasKey . "name")) -}}
{{- $named = false -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $named -}}
{{- end -}}
