need_place
need_name PDB_NAME "$PDB_NAME"
need_number MAX_UNAVAILABLE "$MAX_UNAVAILABLE"
allowed=$(field "pdb/$PDB_NAME" '{.status.disruptionsAllowed}')
if [ "${allowed:-0}" -ge 1 ]; then
  say "it allows $allowed disruptions already"
else
  k patch "pdb/$PDB_NAME" --namespace="$NAMESPACE" --type=merge --patch="{\"spec\":{\"minAvailable\":null,\"maxUnavailable\":$MAX_UNAVAILABLE}}"
fi
