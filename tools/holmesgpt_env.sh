#!/usr/bin/env bash
# Makes HolmesGPT's own virtual environment from requirements-holmesgpt.lock, once for each version of that file, and prints its Python.
# It is kept outside the project: in $KUBERNAUT_CACHE, else ~/.cache/kubernaut. Half a gigabyte, a minute or two.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=requirements-holmesgpt.lock
hash=$(sha256sum "$lock" | cut -c 1-16)
cache=${KUBERNAUT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubernaut}
env=$cache/holmesgpt-$hash
uv=.venv/bin/uv
[ -x "$uv" ] || uv=$(command -v uv) || { echo "uv is missing: run 'make setup' first" >&2; exit 1; }
mkdir -p "$cache"
exec 9>"$cache/holmesgpt.lock"
flock 9
if [ ! -e "$env/.complete" ]; then
  echo "Installing HolmesGPT into $env (once; half a gigabyte)" >&2
  "$uv" venv --quiet --clear --no-project --python "${HOLMESGPT_PYTHON:-$PWD/.venv/bin/python}" "$env" >&2
  "$uv" pip sync --quiet --require-hashes --python "$env/bin/python" "$lock" >&2
  touch "$env/.complete"
fi
echo "$env/bin/python"
