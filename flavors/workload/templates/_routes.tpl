{{- /* What every route of Gateway API begins with: (dict "root" $ "route" ROUTE "kind" KIND). */ -}}
{{- define "flavor.gatewayRoute" -}}
{{- $gateway := .root.Values.expose.gateway -}}
{{- $route := .route -}}
apiVersion: gateway.networking.k8s.io/v1
kind: {{ .kind }}
{{ include "kai.metadata" (dict "root" .root "name" (printf "%s-%s" (include "kai.name" .root) $route.portName) "labels" $gateway.labels "annotations" $gateway.annotations) }}
spec:
  parentRefs:
    {{- if $route.gatewayPort }}
    {{- range $gateway.parentRefs }}
    {{- toYaml (list (merge (dict "port" (int $route.gatewayPort)) .)) | nindent 4 }}
    {{- end }}
    {{- else }}
    {{- toYaml $gateway.parentRefs | nindent 4 }}
    {{- end }}
  {{- with $route.hostname }}
  hostnames:
    - {{ quote . }}
  {{- end }}
{{- end -}}

{{- /* The one rule of a route of Gateway API that looks at no more than the connection. */ -}}
{{- define "flavor.gatewayConnection" -}}
{{ include "flavor.gatewayRoute" . }}
  rules:
    - backendRefs:
        - name: {{ toYaml .route.service }}
          port: {{ int .route.port }}
{{- end -}}

{{- /* A path's headers as Gateway API has them. */ -}}
{{- define "flavor.headerMatches" -}}
{{- range $i, $header := . }}
{{- if $i }}{{ "\n" }}{{ end -}}
- name: {{ toYaml .name }}
  type: {{ .type | default "Exact" }}
  value: {{ quote .value }}
{{- end -}}
{{- end -}}

{{- /* The annotation that has cert-manager make the certificates of routes, as JSON. */ -}}
{{- define "flavor.issuer" -}}
{{- $annotation := dict -}}
{{- range $name, $route := . -}}
{{- with $route.tls -}}
{{- if .issuer -}}
{{- $_ := set $annotation (ternary "cert-manager.io/issuer" "cert-manager.io/cluster-issuer" (eq (.issuerKind | default "") "Issuer")) .issuer -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $annotation -}}
{{- end -}}

{{- /* A gRPC route's path as (dict "service" S "method" M), in JSON; a prefix of / is every call. */ -}}
{{- define "flavor.grpcMethod" -}}
{{- $parts := trimPrefix "/" . | splitList "/" -}}
{{- $method := dict -}}
{{- with first $parts -}}
{{- $_ := set $method "service" . -}}
{{- end -}}
{{- with index (append $parts "") 1 -}}
{{- $_ := set $method "method" . -}}
{{- end -}}
{{- toJson $method -}}
{{- end -}}
