need_place
need_name CRONJOB_NAME "$CRONJOB_NAME"
k patch "cronjob/$CRONJOB_NAME" --namespace="$NAMESPACE" --type=merge --patch='{"spec":{"suspend":false}}'
