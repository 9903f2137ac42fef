need_place
need_name DEPLOYMENT_NAME "$DEPLOYMENT_NAME"
need_number REPLICAS "$REPLICAS"
need_patience
k scale "deployment/$DEPLOYMENT_NAME" --namespace="$NAMESPACE" --replicas="$REPLICAS"
rolled_out "deployment/$DEPLOYMENT_NAME"
