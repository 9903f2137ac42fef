need_place
need_name SERVICE_NAME "$SERVICE_NAME"
need_number SERVICE_PORT "$SERVICE_PORT"
need_number TARGET_PORT "$TARGET_PORT"
there=$(field "service/$SERVICE_NAME" "{.spec.ports[?(@.port==$SERVICE_PORT)].port}")
[ "$there" = "$SERVICE_PORT" ] || fail "the Service has no port $SERVICE_PORT, or more than one"
k patch "service/$SERVICE_NAME" --namespace="$NAMESPACE" --type=strategic \
  --patch="{\"spec\":{\"ports\":[{\"port\":$SERVICE_PORT,\"targetPort\":$TARGET_PORT}]}}"
