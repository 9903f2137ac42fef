need_place
need_name JOB_NAME "$JOB_NAME"
need JOB_UID "$JOB_UID" "uid" 'a-f0-9-'
there=$(k get job "$JOB_NAME" --namespace="$NAMESPACE" --ignore-not-found -o jsonpath='{.metadata.uid} {.metadata.ownerReferences[?(@.controller==true)].kind} {.status.active}')
case "$there" in
  "$JOB_UID CronJob "[1-9]*) k delete job "$JOB_NAME" --namespace="$NAMESPACE" --ignore-not-found --timeout=120s ;;
  "$JOB_UID CronJob "*) fail "job $JOB_NAME runs no pods: it is not stuck" ;;
  "$JOB_UID "*) fail "job $JOB_NAME is of no CronJob that would start another" ;;
  *) say "it is gone already" ;;
esac
