need_place
evicted=$(k get pods --namespace="$NAMESPACE" --field-selector=status.phase=Failed \
  -o jsonpath='{range .items[?(@.status.reason=="Evicted")]}{.metadata.name}{"\n"}{end}')
for pod in $evicted; do
  k delete pod "$pod" --namespace="$NAMESPACE" --ignore-not-found --wait=false
done
