need_place
need_name CONFIGMAP_NAME "$CONFIGMAP_NAME"
need_key CONFIGMAP_KEY "$CONFIGMAP_KEY"
case "$CONFIGMAP_KEY" in */*) fail "CONFIGMAP_KEY is no key of a ConfigMap" ;; *) ;; esac
with_key="{{range \$key, \$value := .data}}{{if eq \$key \"$CONFIGMAP_KEY\"}}"
there=$(k get "configmap/$CONFIGMAP_NAME" --namespace="$NAMESPACE" -o go-template="${with_key}yes{{end}}{{end}}")
if [ "$there" = yes ]; then
  say "the key is there"
  exit 0
fi
work=$(mktemp -d)
k get "configmap/$CONFIGMAP_NAME" --namespace="$NAMESPACE" \
  -o go-template='{{with .metadata.annotations}}{{index . "kubectl.kubernetes.io/last-applied-configuration"}}{{end}}' >"$work/applied.json"
grep -q '{' "$work/applied.json" || fail "nobody knows the value: the ConfigMap was not made by kubectl apply"
applied() { k create --dry-run=client --validate=false --filename="$work/applied.json" -o go-template="$1"; }
[ "$(applied "${with_key}yes{{end}}{{end}}")" = yes ] || fail "nobody knows the value: what was last applied has no key $CONFIGMAP_KEY"
applied "${with_key}{{\$value}}{{end}}{{end}}" >"$work/value"
k create configmap "$CONFIGMAP_NAME" --namespace="$NAMESPACE" --dry-run=client --from-file="$CONFIGMAP_KEY=$work/value" -o json >"$work/patch.json"
k patch "configmap/$CONFIGMAP_NAME" --namespace="$NAMESPACE" --type=merge --patch-file="$work/patch.json"
