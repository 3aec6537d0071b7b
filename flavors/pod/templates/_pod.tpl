{{- /* The pod template of a workload: (dict "root" $ "kind" KIND "restartPolicy" POLICY); the policy defaults to Kubernetes'. */ -}}
{{- define "flavor.podTemplate" -}}
{{- $root := .root -}}
{{- with .root.Values -}}
{{- $security := .security | default dict -}}
{{- $account := .serviceAccount | default dict -}}
{{- $annotations := include "flavor.podAnnotations" $ -}}
metadata:
  labels:
    {{- include "kai.podLabels" $root | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- . | nindent 4 }}
  {{- end }}
spec:
  {{- with include "flavor.pullSecrets" $root }}
  imagePullSecrets:
    {{- . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "flavor.serviceAccountName" $root | toYaml }}
  automountServiceAccountToken: {{ $account.token | default false }}
  enableServiceLinks: false
  {{- with pick $security "hostIPC" "hostNetwork" "hostPID" "hostUsers" }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with include "flavor.podSecurity" $security }}
  securityContext:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $.restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- if not (kindIs "invalid" .gracePeriod) }}
  terminationGracePeriodSeconds: {{ int .gracePeriod }}
  {{- end }}
  {{- if or .initContainers .sidecars }}
  initContainers:
    {{- range .initContainers }}
    {{- include "flavor.container" (dict "root" $root "role" "init" "container" .) | nindent 4 }}
    {{- end }}
    {{- range .sidecars }}
    {{- include "flavor.container" (dict "root" $root "role" "sidecar" "container" .) | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    {{- $main := include "flavor.mainContainer" $root | fromJson }}
    {{- include "flavor.container" (dict "root" $root "role" "main" "container" $main) | nindent 4 }}
  {{- with include "flavor.volumes" (dict "root" $root "kind" $.kind) | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with include "flavor.scheduling" (dict "root" $root "kind" $.kind) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- /* The pods' annotations: (dict "root" $ "kind" KIND). What they hold of configuration is hashed, so that a change of it
restarts them. Those of a job end by themselves, and the next run reads what there is then. */ -}}
{{- define "flavor.podAnnotations" -}}
{{- $root := .root -}}
{{- $annotations := dict -}}
{{- range $name, $value := .root.Values.annotations -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $annotations $name (include "kai.text" $value) -}}
{{- end -}}
{{- end -}}
{{- if not (has .kind (list "Job" "CronJob")) -}}
{{- with include (print .root.Template.BasePath "/configmap.yaml") $root | trim -}}
{{- $_ := set $annotations "checksum/config" (sha256sum .) -}}
{{- end -}}
{{- with include (print .root.Template.BasePath "/secret.yaml") $root | trim -}}
{{- $_ := set $annotations "checksum/secret" (sha256sum .) -}}
{{- end -}}
{{- end -}}
{{- if $annotations }}{{ toYaml $annotations }}{{ end -}}
{{- end -}}

{{- /* The Secrets that open the registries of all images of the pod. */ -}}
{{- define "flavor.pullSecrets" -}}
{{- $names := (.Values.image).pullSecrets | default list -}}
{{- range concat (.Values.initContainers | default list) (.Values.sidecars | default list) -}}
{{- $names = concat $names ((.image).pullSecrets | default list) -}}
{{- end -}}
{{- range $i, $name := uniq $names }}
{{- if $i }}{{ "\n" }}{{ end -}}
- name: {{ toYaml $name }}
{{- end -}}
{{- end -}}

{{- /* The part of the security settings that stands with the pod. */ -}}
{{- define "flavor.podSecurity" -}}
{{- with pick . "appArmorProfile" "fsGroup" "fsGroupChangePolicy" "runAsGroup" "runAsNonRoot" "runAsUser" "seLinuxChangePolicy" "seLinuxOptions" "seccompProfile" "supplementalGroups" "supplementalGroupsPolicy" "sysctls" "windowsOptions" -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- /* The security settings of a container, as JSON: what every container gets, and its own over it. */ -}}
{{- define "flavor.containerSecurity" -}}
{{- $security := pick (.root.Values.security | default dict) "allowPrivilegeEscalation" "capabilities" "privileged" "procMount" "readOnlyRootFilesystem" | deepCopy -}}
{{- include "kai.merge" (dict "into" $security "patch" (.container.security | default dict)) -}}
{{- toJson $security -}}
{{- end -}}

{{- /* The main container in the form of the others, as JSON. It is named like the service; an image without a tag is the
chart's appVersion. */ -}}
{{- define "flavor.mainContainer" -}}
{{- $main := pick .Values "image" "command" "args" "workingDir" "env" "envOrder" "mounts" "probes" "resources" "lifecycle" -}}
{{- $image := .Values.image | default dict | deepCopy -}}
{{- if not (or $image.tag $image.digest) -}}
{{- $_ := set $image "tag" (.Chart.AppVersion | default "") -}}
{{- end -}}
{{- toJson (merge (dict "name" (include "kai.name" .) "image" $image) $main) -}}
{{- end -}}

{{- /* One container of the pod: (dict "root" $ "role" "main"|"init"|"sidecar" "container" MAP). */ -}}
{{- define "flavor.container" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $security := include "flavor.containerSecurity" . | fromJson -}}
{{- $mounts := include "flavor.mounts" . | trim -}}
{{- with .container -}}
- name: {{ toYaml .name }}
  image: {{ include "kai.image" .image | toYaml }}
  imagePullPolicy: {{ .image.pullPolicy | default "Always" }}
  {{- if eq $role "sidecar" }}
  restartPolicy: Always
  {{- end }}
  {{- with .command }}
  command:
    {{- include "flavor.words" . | nindent 4 }}
  {{- end }}
  {{- with .args }}
  args:
    {{- include "flavor.words" . | nindent 4 }}
  {{- end }}
  {{- with .workingDir }}
  workingDir: {{ toYaml . }}
  {{- end }}
  {{- with include "flavor.openedRoutes" (dict "root" $root "container" (ternary "" .name (eq $role "main"))) | fromJson }}
  ports:
    {{- range . }}
    - name: {{ toYaml .portName }}
      containerPort: {{ int .containerPort }}
      protocol: {{ .protocol | default "TCP" }}
    {{- end }}
  {{- end }}
  {{- with include "kai.env" (dict "root" $root "env" .env "order" .envOrder) | trim }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .probes }}
  {{- range $kind := list "startup" "liveness" "readiness" }}
  {{- with get $.container.probes $kind }}
  {{ $kind }}Probe:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- with .lifecycle }}
  lifecycle:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- /* A pod asks for the most that an init container or all the others want, so the main one's resources cost an init container nothing. */}}
  {{- $resources := .resources }}
  {{- if and (eq $role "init") (not $resources) }}
  {{- $resources = $root.Values.resources }}
  {{- end }}
  {{- with $resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $security }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $mounts }}
  volumeMounts:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- /* A command's words: numbers and booleans among them become text. */ -}}
{{- define "flavor.words" -}}
{{- $words := list -}}
{{- range . -}}
{{- $words = append $words (include "kai.text" .) -}}
{{- end -}}
{{- toYaml $words -}}
{{- end -}}

{{- /* A container's mounts. Programs expect to write to /tmp, so a read-only root file system gets one. */ -}}
{{- define "flavor.mounts" -}}
{{- if eq (include "flavor.needsTmp" .) "true" }}
- name: tmp
  mountPath: /tmp
{{- end }}
{{- range $name, $mount := .container.mounts }}
{{- if $mount }}
- name: {{ $mount.volume | default $name | toYaml }}
  mountPath: {{ toYaml $mount.path }}
  {{- with $mount.subPath }}
  subPath: {{ toYaml . }}
  {{- end }}
  {{- with $mount.subPathExpr }}
  subPathExpr: {{ toYaml . }}
  {{- end }}
  {{- if $mount.readOnly }}
  readOnly: true
  {{- end }}
  {{- with $mount.mountPropagation }}
  mountPropagation: {{ . }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Whether a container lacks a writable /tmp. */ -}}
{{- define "flavor.needsTmp" -}}
{{- $needs := (include "flavor.containerSecurity" . | fromJson).readOnlyRootFilesystem | default false -}}
{{- range .container.mounts -}}
{{- if and . (eq (trimSuffix "/" .path) "/tmp") -}}
{{- $needs = false -}}
{{- end -}}
{{- end -}}
{{- $needs -}}
{{- end -}}

{{- /* The pod's volumes: (dict "root" $ "kind" KIND). A StatefulSet's claims stand beside its pod template. */ -}}
{{- define "flavor.volumes" -}}
{{- $root := .root -}}
{{- $kind := .kind -}}
{{- $fullname := include "kai.name" .root -}}
{{- $volumes := .root.Values.volumes | default dict -}}
{{- $main := include "flavor.mainContainer" .root | fromJson -}}
{{- $needsTmp := false -}}
{{- range concat (list $main) (.root.Values.initContainers | default list) (.root.Values.sidecars | default list) -}}
{{- if eq (include "flavor.needsTmp" (dict "root" $root "container" .)) "true" -}}
{{- $needsTmp = true -}}
{{- end -}}
{{- end -}}
{{- if and $needsTmp (not (hasKey $volumes "tmp")) }}
- name: tmp
  emptyDir: {}
{{- end }}
{{- range $name, $source := $volumes }}
{{- if and $source $source.volumeClaimTemplate }}
{{- if ne $kind "StatefulSet" }}
{{- fail (printf "%s: volume %s is a volumeClaimTemplate, which only a StatefulSet has: take the flavor stateful, or an ephemeral or persistentVolumeClaim volume" $fullname $name) }}
{{- end }}
{{- else if $source }}
- name: {{ toYaml $name }}
  {{- if or $source.files $source.binaryFiles }}
  configMap:
    name: {{ printf "%s-%s" $fullname $name | toYaml }}
    {{- with $source.mode }}
    defaultMode: {{ printf "0%o" (int .) }}
    {{- end }}
  {{- else if $source.secretFiles }}
  secret:
    secretName: {{ printf "%s-%s" $fullname $name | toYaml }}
    {{- with $source.mode }}
    defaultMode: {{ printf "0%o" (int .) }}
    {{- end }}
  {{- else }}
  {{- toYaml $source | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* How the pods are told where to run. Several replicas keep apart if they can, so that one node or zone does not take
all of them along: (dict "root" $ "kind" KIND). */ -}}
{{- define "flavor.scheduling" -}}
{{- $scheduling := .root.Values.scheduling | default dict -}}
{{- $several := or .root.Values.scaling (gt (include "flavor.replicas" .root | int) 1) -}}
{{- range $field := list "nodeName" "nodeSelector" "tolerations" "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" "dnsConfig" "hostAliases" -}}
{{- with get $scheduling $field }}
{{ toYaml (dict $field .) }}
{{- end -}}
{{- end -}}
{{- if $scheduling.affinity }}
affinity:
  {{- toYaml $scheduling.affinity | nindent 2 }}
{{- else if $several }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "kai.selectorLabels" .root | nindent 14 }}
{{- end }}
{{- if $scheduling.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $scheduling.topologySpreadConstraints | nindent 2 }}
{{- else if $several }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "kai.selectorLabels" $.root | nindent 8 }}
    {{- if eq $.kind "Deployment" }}
    matchLabelKeys:
      - pod-template-hash
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}
