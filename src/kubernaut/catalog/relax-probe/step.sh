need_place
need_name DEPLOYMENT_NAME "$DEPLOYMENT_NAME"
need_name CONTAINER_NAME "$CONTAINER_NAME"
one_of PROBE "$PROBE" readiness liveness startup
need_number FAILURE_THRESHOLD "$FAILURE_THRESHOLD"
need_patience
probe="{.spec.template.spec.containers[?(@.name==\"$CONTAINER_NAME\")].${PROBE}Probe"
[ -n "$(field "deployment/$DEPLOYMENT_NAME" "$probe}")" ] || fail "container $CONTAINER_NAME has no $PROBE probe"
now=$(field "deployment/$DEPLOYMENT_NAME" "$probe.failureThreshold}")
if [ "${now:-3}" -ge "$FAILURE_THRESHOLD" ]; then
  say "it allows ${now:-3} failures already"
else
  k patch "deployment/$DEPLOYMENT_NAME" --namespace="$NAMESPACE" --type=strategic \
    --patch="{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"$CONTAINER_NAME\",\"${PROBE}Probe\":{\"failureThreshold\":$FAILURE_THRESHOLD}}]}}}}"
fi
rolled_out "deployment/$DEPLOYMENT_NAME"
