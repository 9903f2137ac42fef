need_place
need_name DAEMONSET_NAME "$DAEMONSET_NAME"
need_number REVISION "$REVISION"
need_patience
roll_back "daemonset/$DAEMONSET_NAME" "$REVISION" '{.metadata.generation}'

rolled_out "daemonset/$DAEMONSET_NAME"
