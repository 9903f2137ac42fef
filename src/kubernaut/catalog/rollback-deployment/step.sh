need_place
need_name DEPLOYMENT_NAME "$DEPLOYMENT_NAME"
need_number REVISION "$REVISION"
need_patience
roll_back "deployment/$DEPLOYMENT_NAME" "$REVISION" '{.metadata.annotations.deployment\.kubernetes\.io/revision}'
rolled_out "deployment/$DEPLOYMENT_NAME"
