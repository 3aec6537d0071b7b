{{- /* A Job's spec: (dict "root" $ "kind" KIND). */ -}}
{{- define "flavor.jobSpec" -}}
{{- $job := .root.Values.job | default dict -}}
{{- range $field := list "activeDeadlineSeconds" "backoffLimit" "parallelism" "ttlSecondsAfterFinished" -}}
{{- if not (kindIs "invalid" (index $job $field)) -}}
{{ $field }}: {{ index $job $field | int }}
{{ end -}}
{{- end -}}
{{- include "flavor.jobRun" . -}}
{{- end -}}

{{- /* The part of a Job's spec that Kubernetes lets nobody change: what it runs, and when that is done. */ -}}
{{- define "flavor.jobRun" -}}
{{- $job := .root.Values.job | default dict -}}
{{- range $field := list "backoffLimitPerIndex" "completions" "maxFailedIndexes" -}}
{{- if not (kindIs "invalid" (index $job $field)) -}}
{{ $field }}: {{ index $job $field | int }}
{{ end -}}
{{- end -}}
{{- range $field := list "completionMode" "podFailurePolicy" "podReplacementPolicy" "successPolicy" -}}
{{- with index $job $field -}}
{{ toYaml (dict $field .) }}
{{ end -}}
{{- end -}}
template:
  {{- include "flavor.podTemplate" (dict "root" .root "kind" .kind "restartPolicy" ($job.restartPolicy | default "Never")) | nindent 2 }}
{{- end -}}
