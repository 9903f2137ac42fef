need_place
need_name DAEMONSET_NAME "$DAEMONSET_NAME"
need_name CONTAINER_NAME "$CONTAINER_NAME"
need_quantity MEMORY_LIMIT "$MEMORY_LIMIT"
need_patience
raise_limit "daemonset/$DAEMONSET_NAME" "$CONTAINER_NAME" memory "$MEMORY_LIMIT"
rolled_out "daemonset/$DAEMONSET_NAME"
