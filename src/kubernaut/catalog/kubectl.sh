#!/bin/sh
# Stands in front of every step that runs kubectl. Parameters arrive as environment variables, never as text of the script.
set -eu
errors=$(mktemp)

say() { printf '%s\n' "$*"; }

fail() { # end the step; the text becomes its termination message
  printf '%.500s' "$*" >"$(results.message.path)"
  printf '%s\n' "$*" >&2
  exit 1
}

unreachable() { # whether the last error says that the API server could not be reached
  grep -qE 'refused|connection reset|i/o timeout|EOF|TLS handshake timeout|no route to host|ServiceUnavailable|TooManyRequests|currently unable' "$errors"
}

try() { kubectl "$@" 2>"$errors"; } # kubectl once

k() { # kubectl, again while the API server cannot be reached; anything else ends the step
  left=5
  until try "$@"; do
    left=$((left - 1))
    if [ "$left" -eq 0 ] || ! unreachable; then fail "kubectl $1: $(cat "$errors")"; fi
    sleep 2
  done
}

need() { # variable, value, what it must be, characters it may have (as in [ ]); it begins with a letter or digit
  case "$2" in
    '' | [!A-Za-z0-9]* | *[!$4]*) fail "$1 is no $3" ;;
    *) ;;
  esac
}

need_name() { need "$1" "$2" "Kubernetes name" 'a-z0-9.-'; }
need_number() { need "$1" "$2" "whole number" '0-9'; }
need_quantity() {
  need "$1" "$2" "quantity" '0-9.A-Za-z'
  amount "$2" >/dev/null || fail "$1 is no quantity"
}
need_key() { need "$1" "$2" "key" 'A-Za-z0-9._/-'; } # of a label, a taint or a ConfigMap
need_place() { # what every workflow on a namespaced object is given
  need_name NAMESPACE "$NAMESPACE"
}
need_patience() { need_number ROLLOUT_TIMEOUT "${ROLLOUT_TIMEOUT%s}"; }

one_of() { # variable, value, the values it may have
  name=$1 value=$2
  shift 2
  for each; do
    if [ "$value" = "$each" ]; then return 0; fi
  done
  fail "$name is none of $*"
}

amount() { # a quantity in thousandths, as a whole number
  printf '%s' "$1" | awk '
    BEGIN { unit[""] = 1000; unit["m"] = 1; split("k M G T P", ten, " "); split("Ki Mi Gi Ti Pi", two, " ")
            for (i = 1; i <= 5; i++) { unit[ten[i]] = 1000 * 1000 ^ i; unit[two[i]] = 1000 * 1024 ^ i } }
    /^[0-9]+(\.[0-9]+)?[A-Za-z]*$/ { match($0, /^[0-9.]+/); suffix = substr($0, RLENGTH + 1)
                                     if (suffix in unit) { printf "%.0f", substr($0, 1, RLENGTH) * unit[suffix]; known = 1 } }
    END { exit !known }'
}

field() { # object, jsonpath: one field of an object in the namespace
  k get "$1" --namespace="$NAMESPACE" -o jsonpath="$2"
}

rolled_out() { # workload: wait until it is rolled out
  k rollout status "$1" --namespace="$NAMESPACE" --timeout="$ROLLOUT_TIMEOUT"
}

raise_limit() { # workload, container, resource, new limit: never lowers it; a request above it comes down with it
  of="{.spec.template.spec.containers[?(@.name==\"$2\")].resources"
  limit=$(field "$1" "$of.limits.$3}")
  request=$(field "$1" "$of.requests.$3}")
  wanted=$(amount "$4")
  if [ -n "$limit" ] && [ "$(amount "$limit")" -ge "$wanted" ]; then
    say "the $3 limit is $limit already"
    return 0
  fi
  also=
  if [ -n "$request" ] && [ "$(amount "$request")" -gt "$wanted" ]; then also="--requests=$3=$4"; fi
  k set resources "$1" --namespace="$NAMESPACE" --containers="$2" --limits="$3=$4" ${also:+"$also"}
}

restart() { # workload: marked with this run, so that a second try of this step does not restart again
  k patch "$1" --namespace="$NAMESPACE" --type=strategic \
    --patch="{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"kubernaut.ai/restarted-by\":\"$RUN\"}}}}}"
}

roll_back() { # workload, revision, where it stands (jsonpath)
  # Where we came from is noted before anything is done: a second try of this step must not roll back further.
  stands=$(field "$1" "$3")
  noted=$(field "$1" '{.metadata.annotations.kubernaut\.ai/rollback-from}')
  case "$noted" in
    "$RUN".*) from=${noted#"$RUN".} ;;
    *)
      from=$stands
      k annotate "$1" --namespace="$NAMESPACE" --overwrite "kubernaut.ai/rollback-from=$RUN.$stands"
      ;;
  esac
  tries=5
  while [ "$stands" = "$from" ]; do
    if try rollout undo "$1" --namespace="$NAMESPACE" --to-revision="$2"; then break; fi
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ] || ! unreachable; then fail "kubectl rollout undo: $(cat "$errors")"; fi
    sleep 2
    stands=$(field "$1" "$3")
  done
}

clear_the_way() { # statefulset/name: it waits for pods to be ready before it replaces them; broken ones would stand in its way for ever
  uid=$(field "$1" '{.metadata.uid}')
  mine="{{range .metadata.ownerReferences}}{{if eq .uid \"$uid\"}}"
  waiting='{{range $pod.status.conditions}}{{if and (eq .type "Ready") (ne .status "True")}}{{$pod.metadata.name}} {{end}}{{end}}'
  broken=$(k get pods --namespace="$NAMESPACE" -o go-template="{{range \$pod := .items}}{{with \$pod}}$mine$waiting{{end}}{{end}}{{end}}{{end}}")
  for pod in $broken; do
    k delete pod "$pod" --namespace="$NAMESPACE" --ignore-not-found --wait=false
  done
}
