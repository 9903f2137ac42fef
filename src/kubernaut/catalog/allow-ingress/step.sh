need_place
need_name POLICY_NAME "$POLICY_NAME"
need_name FROM_NAMESPACE "$FROM_NAMESPACE"
need_number PORT "$PORT"
one_of PROTOCOL "$PROTOCOL" TCP UDP SCTP
selector=$(field "networkpolicy/$POLICY_NAME" '{.spec.podSelector}')
file=$(mktemp)
cat >"$file" <<EOT
{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
 "metadata": {"name": "$POLICY_NAME-from-$FROM_NAMESPACE-$PORT", "namespace": "$NAMESPACE"},
 "spec": {"podSelector": $selector, "policyTypes": ["Ingress"], "ingress": [{
   "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "$FROM_NAMESPACE"}}}],
   "ports": [{"protocol": "$PROTOCOL", "port": $PORT}]}]}}
EOT
k apply --server-side --field-manager=kubernaut --filename="$file"
