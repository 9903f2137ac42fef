#!/usr/bin/env bash
# What must hold at every commit, in under a minute: the slow halves run side by side. `static` leaves out the unit tests.
set -uo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONDONTWRITEBYTECODE # compiled files are kept, lest every program that starts compiles everything anew
bin=.venv/bin
code="src tests bench tools"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0

start() { # name, command...
  local name=$1
  shift
  ("$@" >"$out/$name" 2>&1; echo $? >"$out/$name.rc") &
}
finish() { # name
  wait
  for name in "$@"; do
    if [ "$(cat "$out/$name.rc")" != 0 ]; then
      failed=1
      printf '\n== %s failed\n' "$name"
      cat "$out/$name"
    else
      printf '%-10s ok\n' "$name"
    fi
  done
}

start format $bin/ruff format --check $code
start lint $bin/ruff check $code
start contracts $bin/lint-imports --no-cache
start drift $bin/python tools/generate.py --check
finish format lint contracts drift
start types $bin/mypy
if [ "${1:-}" = static ]; then
  finish types
  exit $failed
fi
# of examples that are made up, a third: `make test` goes through all
start unit $bin/python -m pytest -q -m unit -n 2 -p no:cacheprovider --hypothesis-profile=quick
finish types unit
grep -E '^[0-9]+ (passed|failed)|passed|failed' "$out/unit" | tail -n 1
exit $failed
