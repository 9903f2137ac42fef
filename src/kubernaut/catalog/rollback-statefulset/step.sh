need_place
need_name STATEFULSET_NAME "$STATEFULSET_NAME"
need_number REVISION "$REVISION"
need_patience
roll_back "statefulset/$STATEFULSET_NAME" "$REVISION" '{.metadata.generation}'
clear_the_way "statefulset/$STATEFULSET_NAME"
rolled_out "statefulset/$STATEFULSET_NAME"
