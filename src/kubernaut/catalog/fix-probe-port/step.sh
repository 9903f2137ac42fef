need_place
need_name DEPLOYMENT_NAME "$DEPLOYMENT_NAME"
need_name CONTAINER_NAME "$CONTAINER_NAME"
one_of PROBE "$PROBE" readiness liveness startup
need_number PROBE_PORT "$PROBE_PORT"
need_patience
handler=
for each in httpGet tcpSocket grpc; do
  found=$(field "deployment/$DEPLOYMENT_NAME" "{.spec.template.spec.containers[?(@.name==\"$CONTAINER_NAME\")].${PROBE}Probe.$each.port}")
  if [ -n "$found" ]; then handler=$each; fi
done
[ -n "$handler" ] || fail "container $CONTAINER_NAME has no $PROBE probe that asks a port"
k patch "deployment/$DEPLOYMENT_NAME" --namespace="$NAMESPACE" --type=strategic \
  --patch="{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"$CONTAINER_NAME\",\"${PROBE}Probe\":{\"$handler\":{\"port\":$PROBE_PORT}}}]}}}}"
rolled_out "deployment/$DEPLOYMENT_NAME"
