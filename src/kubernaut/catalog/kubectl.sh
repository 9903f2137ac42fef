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

need_name() { # refuse what is no Kubernetes name
  case "$2" in
    '' | -* | *[!a-z0-9.-]*) fail "$1 is no Kubernetes name" ;;
    *) ;;
  esac
}

need_number() {
  case "$2" in
    '' | *[!0-9]*) fail "$1 is no whole number" ;;
    *) ;;
  esac
}

rolled_out() { # wait until the Deployment is rolled out
  k rollout status "deployment/$DEPLOYMENT_NAME" --namespace="$NAMESPACE" --timeout="$ROLLOUT_TIMEOUT"
}

need_name NAMESPACE "$NAMESPACE"
need_name DEPLOYMENT_NAME "$DEPLOYMENT_NAME"
need_number ROLLOUT_TIMEOUT "${ROLLOUT_TIMEOUT%s}"
