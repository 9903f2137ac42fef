need_place
need_name CLAIM_NAME "$CLAIM_NAME"
need_quantity SIZE "$SIZE"
need_number RESIZE_TIMEOUT "${RESIZE_TIMEOUT%s}"
asked=$(field "pvc/$CLAIM_NAME" '{.spec.resources.requests.storage}')
if [ "$(amount "$asked")" -ge "$(amount "$SIZE")" ]; then
  say "it asks for $asked already"
  SIZE=$asked
else
  k patch "pvc/$CLAIM_NAME" --namespace="$NAMESPACE" --type=merge --patch="{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"$SIZE\"}}}}"
fi
k wait "pvc/$CLAIM_NAME" --namespace="$NAMESPACE" --for="jsonpath={.status.capacity.storage}=$SIZE" --timeout="$RESIZE_TIMEOUT"
