need_place
need_name DEPLOYMENT_NAME "$DEPLOYMENT_NAME"
need_name CONTAINER_NAME "$CONTAINER_NAME"
need_quantity CPU_LIMIT "$CPU_LIMIT"
need_patience
raise_limit "deployment/$DEPLOYMENT_NAME" "$CONTAINER_NAME" cpu "$CPU_LIMIT"
rolled_out "deployment/$DEPLOYMENT_NAME"
