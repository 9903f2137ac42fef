#!/usr/bin/env bash
# Installs Debian's packages that the tests use and PyPI does not have; where that is not allowed, says which tests cannot run.
set -u
missing=()
command -v prometheus-alertmanager >/dev/null || missing+=(prometheus-alertmanager)
{ command -v prometheus && command -v promtool; } >/dev/null || missing+=(prometheus)
command -v docker-registry >/dev/null || missing+=(docker-registry)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
command -v chromium >/dev/null || missing+=(chromium)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  left=()
  for package in "${missing[@]}"; do # one that a distribution does not have keeps no other out
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 || left+=("$package")
  done
  [ ${#left[@]} -eq 0 ] && exit 0
  missing=("${left[@]}")
fi
echo "Not installed: ${missing[*]}. The tests that need them will be named as not run; on Debian: apt-get install ${missing[*]}"
