need_place
need_name STATEFULSET_NAME "$STATEFULSET_NAME"
need_name CONTAINER_NAME "$CONTAINER_NAME"
need_quantity MEMORY_LIMIT "$MEMORY_LIMIT"
need_patience
raise_limit "statefulset/$STATEFULSET_NAME" "$CONTAINER_NAME" memory "$MEMORY_LIMIT"
clear_the_way "statefulset/$STATEFULSET_NAME"
rolled_out "statefulset/$STATEFULSET_NAME"
