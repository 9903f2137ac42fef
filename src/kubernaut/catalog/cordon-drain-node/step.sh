need_name NODE_NAME "$NODE_NAME"
one_of DELETE_EMPTYDIR_DATA "$DELETE_EMPTYDIR_DATA" true false
need_number DRAIN_TIMEOUT "${DRAIN_TIMEOUT%s}"
was=$(k get node "$NODE_NAME" -o jsonpath='{.spec.unschedulable}')
k cordon "$NODE_NAME"
if ! try drain "$NODE_NAME" --ignore-daemonsets --delete-emptydir-data="$DELETE_EMPTYDIR_DATA" --timeout="$DRAIN_TIMEOUT"; then
  why=$(cat "$errors")
  if [ "$was" != true ]; then k uncordon "$NODE_NAME"; fi
  fail "kubectl drain: $why"
fi
