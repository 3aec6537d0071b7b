{{- /* The number of replicas that are always there. */ -}}
{{- define "flavor.replicas" -}}
{{- $replicas := .Values.replicas -}}
{{- if .Values.scaling -}}
{{- $replicas = .Values.scaling.minReplicas -}}
{{- end -}}
{{- if kindIs "invalid" $replicas }}1{{ else }}{{ int $replicas }}{{ end -}}
{{- end -}}

{{- /* The name of the pods' ServiceAccount. */ -}}
{{- define "flavor.serviceAccountName" -}}
{{- $account := .Values.serviceAccount | default dict -}}
{{- $account.name | default (ternary (include "kai.name" .) "default" (eq (include "flavor.serviceAccountCreated" .) "true")) -}}
{{- end -}}

{{- /* Whether the chart makes the ServiceAccount: not where the user names one, unless asked. */ -}}
{{- define "flavor.serviceAccountCreated" -}}
{{- $account := .Values.serviceAccount | default dict -}}
{{- if kindIs "bool" $account.create }}{{ $account.create }}{{ else }}{{ not $account.name }}{{ end -}}
{{- end -}}

{{- /* The routes that a container opens, each port once: (dict "root" $ "container" NAME), "" being the main container.
A port has one name, that of its first route. */ -}}
{{- define "flavor.openedRoutes" -}}
{{- $opened := dict -}}
{{- $seen := list -}}
{{- range $name, $route := .root.Values.routes -}}
{{- if and $route (eq ($route.container | default "") $.container) -}}
{{- $port := printf "%d/%s" (int $route.containerPort) ($route.protocol | default "TCP") -}}
{{- if not (has $port $seen) -}}
{{- $seen = append $seen $port -}}
{{- $_ := set $opened $name $route -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $opened -}}
{{- end -}}

{{- /* A Service's port for a route: (dict "root" $ "route" ROUTE "port" NUMBER). Sidecars' ports are given by number, since
not every Kubernetes finds the names of theirs. */ -}}
{{- define "flavor.servicePort" -}}
{{- $route := .route -}}
{{- $target := int $route.containerPort | toString -}}
{{- if not $route.container -}}
{{- range include "flavor.openedRoutes" (dict "root" .root "container" "") | fromJson -}}
{{- if and (eq (int .containerPort) (int $route.containerPort)) (eq (.protocol | default "TCP") ($route.protocol | default "TCP")) -}}
{{- $target = toYaml .portName -}}
{{- end -}}
{{- end -}}
{{- end -}}
- name: {{ toYaml $route.portName }}
  port: {{ int .port }}
  targetPort: {{ $target }}
  protocol: {{ $route.protocol | default "TCP" }}
  {{- with $route.appProtocol }}
  appProtocol: {{ . }}
  {{- end }}
{{- end -}}

{{- /* The name of the ClusterRole: the cluster may have this service in several namespaces. */ -}}
{{- define "flavor.clusterRoleName" -}}
{{- printf "%s-%s" .Release.Namespace (include "kai.name" .) -}}
{{- end -}}
