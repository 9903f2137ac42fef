need_place
need_name SERVICE_NAME "$SERVICE_NAME"
need_key SELECTOR_KEY "$SELECTOR_KEY"
need_key SELECTOR_VALUE "$SELECTOR_VALUE"
k patch "service/$SERVICE_NAME" --namespace="$NAMESPACE" --type=merge --patch="{\"spec\":{\"selector\":{\"$SELECTOR_KEY\":\"$SELECTOR_VALUE\"}}}"
