need_place
need_name QUOTA_NAME "$QUOTA_NAME"
need_key QUOTA_RESOURCE "$QUOTA_RESOURCE"
need_quantity QUOTA_HARD "$QUOTA_HARD"
hard=$(k get "resourcequota/$QUOTA_NAME" --namespace="$NAMESPACE" -o go-template="{{with index .spec.hard \"$QUOTA_RESOURCE\"}}{{.}}{{end}}")
[ -n "$hard" ] || fail "the ResourceQuota has no limit on $QUOTA_RESOURCE"
if [ "$(amount "$hard")" -ge "$(amount "$QUOTA_HARD")" ]; then
  say "the limit is $hard already"
else
  k patch "resourcequota/$QUOTA_NAME" --namespace="$NAMESPACE" --type=merge --patch="{\"spec\":{\"hard\":{\"$QUOTA_RESOURCE\":\"$QUOTA_HARD\"}}}"
fi
