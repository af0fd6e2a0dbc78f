#!/usr/bin/env bash
# numpy 1.26.4 and 2.2.6. Whether an array that was unpickled can be written to depends on the protocol and on its strides. A read-only array
# (a broadcast, a memory map opened for reading, `flags.writeable = False`) comes back writeable from protocols 0 to 4, and
# read-only from 5, where it goes as bytes; but one that is not contiguous, and a datetime64, go the old way in 5, too, and come back
# writeable. So a program that moves to protocol 5 meets "assignment destination is read-only" in some workers and for some slices.
# multiprocessing hides it as long as its default protocol is 4, as it is up to Python 3.13.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/program.py" <<'PY'
import numpy as np, pickle
def after(array):
    array.flags.writeable = False
    return ''.join('wr'[not pickle.loads(pickle.dumps(array, p)).flags.writeable] for p in range(6))
print(after(np.arange(3)), after(np.arange(6).reshape(2, 3)[:, ::2]), after(np.array([1], 'M8[s]')), after(np.arange(6).reshape(2, 3).T))
PY
for version in 1.26.4 2.2.6; do
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --only-binary :all: --target "$folder/$version" "numpy==$version"
  said=$(PYTHONPATH="$folder/$version" python3 "$folder/program.py")
  echo "$version, protocols 0 to 5 of a contiguous, a strided, a datetime64 and a transposed array: $said"
  [ "$said" = 'wwwwwr wwwwww wwwwww wwwwwr' ]
done
echo 'as described'
