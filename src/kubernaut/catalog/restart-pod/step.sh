need_place
need_name POD_NAME "$POD_NAME"
need POD_UID "$POD_UID" "uid" 'a-f0-9-'
there=$(k get pod "$POD_NAME" --namespace="$NAMESPACE" --ignore-not-found -o jsonpath='{.metadata.uid} {.metadata.ownerReferences[?(@.controller==true)].kind}')
case "$there" in
  "$POD_UID "?*) k delete pod "$POD_NAME" --namespace="$NAMESPACE" --ignore-not-found --timeout=120s ;;
  "$POD_UID ") fail "pod $POD_NAME has no owner that would make it anew" ;;
  *) say "it was replaced already" ;;
esac
