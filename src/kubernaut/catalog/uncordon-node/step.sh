need_name NODE_NAME "$NODE_NAME"
ready=$(k get node "$NODE_NAME" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')
[ "$ready" = True ] || fail "node $NODE_NAME is not ready: it must not be given pods"
k uncordon "$NODE_NAME"
