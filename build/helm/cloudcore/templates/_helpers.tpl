{{- /* CloudCore keeps its Secrets in namespace kubeedge, as KubeEdge does, and nodes have to know where it can be reached. */ -}}
{{- define "cloudcore.check" -}}
{{- if ne .Release.Namespace "kubeedge" }}
{{- fail "CloudCore is to be in namespace kubeedge: helm install cloudcore ... --namespace kubeedge --create-namespace" }}
{{- end }}
{{- if not (compact .Values.cloudCore.modules.cloudHub.advertiseAddress) }}
{{- fail "give the addresses that edge nodes reach CloudCore at: --set cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1}" }}
{{- end }}
{{- end }}

{{- define "cloudcore.labels" -}}
{{ toYaml .Values.cloudCore.labels }}
{{- end }}

{{- /* cloudcore.yaml. KubeEdge's users quote numbers and booleans in their values: CloudCore takes them without. */ -}}
{{- define "cloudcore.configuration" -}}
{{- $modules := deepCopy .Values.cloudCore.modules }}
{{- $admission := deepCopy ($modules.admission | default dict) }}
{{- $_ := set $admission "enable" (eq (toString .Values.admission.enable) "true") }}
{{- $_ := set $modules "admission" $admission }}
{{- $tree := dict "apiVersion" "cloudcore.config.kubeedge.io/v1alpha2" "kind" "CloudCore" "featureGates" .Values.cloudCore.featureGates "logging" .Values.cloudCore.logging "modules" $modules }}
{{- regexReplaceAll "(?m): \"(true|false|[0-9]+)\"$" (toYaml $tree) ": ${1}" }}
{{- end }}
