#!/usr/bin/env bash
# numpy 1.24.4, 1.26.4 and 2.2.6 with the python3 of this machine (3.9 to 3.11). A pickle of an array is taken for a stable format: it is what
# multiprocessing, joblib, Dask and caches send. But it names the private modules of the numpy that wrote it, and even a scalar does: numpy 2's
# pickles of `np.float64(1.5)` are a ModuleNotFoundError in numpy 1.24, in every protocol. 1.26 has got aliases so that it can read them, for the names that
# protocols 0 to 4 use: an array in protocol 5 names a function of another module, which 1.26 does not find, either, and which
# gives a DeprecationWarning when a numpy 2 reads what 1 has written. So whoever tested the exchange by pickle.dumps(array) sees it break with
# protocol=5. A pickle that all of them read is an empty array that is given its state: `np.ndarray((0,))` and
# `__setstate__`, which names `numpy.ndarray` and `numpy.dtype` only.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 1.24.4 1.26.4 2.2.6; do
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --only-binary :all: --target "$folder/$version" "numpy==$version"
done
cat >"$folder/write.py" <<'PY'
import sys, numpy as np, pickle
class Neutral:
    def __reduce__(self):
        return np.ndarray, ((0,),), (1, (2,), np.dtype('<f8'), False, np.array([1, 2.0]).tobytes())
what = {'array': np.array([1, 2.0]), 'scalar': np.float64(1.5), 'neutral': Neutral()}[sys.argv[1]]
sys.stdout.buffer.write(pickle.dumps(what, int(sys.argv[2])))
PY
cat >"$folder/read.py" <<'PY'
import sys, pickle, warnings
warnings.simplefilter('error')
try:
    print(pickle.load(sys.stdin.buffer))
except ImportError as error:
    print(error)
except DeprecationWarning as warning:
    print(str(warning)[:34])
PY
exchange() { # writer, reader, what, protocol
  PYTHONPATH="$folder/$1" python3 "$folder/write.py" "$3" "$4" | PYTHONPATH="$folder/$2" python3 -W error "$folder/read.py"
}
for protocol in 2 4 5; do
  for what in array scalar; do
    said=$(exchange 2.2.6 1.24.4 "$what" "$protocol")
    echo "$what of 2.2.6, protocol $protocol, in 1.24.4: $said"
    [ "$said" = "No module named 'numpy._core'" ]
    to_1_26=$(exchange 2.2.6 1.26.4 "$what" "$protocol")
    from_1_24=$(exchange 1.24.4 2.2.6 "$what" "$protocol")
    echo "$what, protocol $protocol, of 2.2.6 in 1.26.4: $to_1_26; of 1.24.4 in 2.2.6: $from_1_24"
    if [ "$what $protocol" = 'array 5' ]; then
      [ "$to_1_26" = "No module named 'numpy._core.numeric'" ]
      [ "$from_1_24" = 'numpy.core.numeric is deprecated a' ]
    else
      [[ "$to_1_26" =~ ^(\[1\. 2\.\]|1\.5)$ && "$from_1_24" = "$to_1_26" ]]
    fi
  done
  for writer in 1.24.4 2.2.6; do
    for reader in 1.24.4 1.26.4 2.2.6; do
      [ "$(exchange "$writer" "$reader" neutral "$protocol")" = '[1. 2.]' ]
    done
  done
done
echo 'as described'
