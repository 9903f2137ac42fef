need_place
need_name HPA_NAME "$HPA_NAME"
need_number MAX_REPLICAS "$MAX_REPLICAS"
most=$(field "hpa/$HPA_NAME" '{.spec.maxReplicas}')
if [ "$most" -ge "$MAX_REPLICAS" ]; then
  say "it may make $most replicas already"
else
  k patch "hpa/$HPA_NAME" --namespace="$NAMESPACE" --type=merge --patch="{\"spec\":{\"maxReplicas\":$MAX_REPLICAS}}"
fi
