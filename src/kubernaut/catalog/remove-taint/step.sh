need_name NODE_NAME "$NODE_NAME"
need_key TAINT_KEY "$TAINT_KEY"
one_of TAINT_EFFECT "$TAINT_EFFECT" NoSchedule PreferNoSchedule NoExecute
case "$TAINT_KEY" in
  node.kubernetes.io/* | node.cloudprovider.kubernetes.io/*) fail "TAINT_KEY $TAINT_KEY is Kubernetes' own: it goes when its reason does" ;;
  *) ;;
esac
ready=$(k get node "$NODE_NAME" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')
[ "$ready" = True ] || fail "node $NODE_NAME is not ready: it must not be given pods"
effects=$(k get node "$NODE_NAME" -o jsonpath="{.spec.taints[?(@.key==\"$TAINT_KEY\")].effect}")
case " $effects " in
  *" $TAINT_EFFECT "*) k taint node "$NODE_NAME" "$TAINT_KEY:$TAINT_EFFECT-" ;;
  *) say "the taint is not there" ;;
esac
