need_place
need_name DEPLOYMENT_NAME "$DEPLOYMENT_NAME"
need_patience
restart "deployment/$DEPLOYMENT_NAME"
rolled_out "deployment/$DEPLOYMENT_NAME"
