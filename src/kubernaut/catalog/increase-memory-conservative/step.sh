need_place
need_name DEPLOYMENT_NAME "$DEPLOYMENT_NAME"
need_name CONTAINER_NAME "$CONTAINER_NAME"
need_quantity MEMORY_LIMIT "$MEMORY_LIMIT"
need_patience
raise_limit "deployment/$DEPLOYMENT_NAME" "$CONTAINER_NAME" memory "$MEMORY_LIMIT"
rolled_out "deployment/$DEPLOYMENT_NAME"
