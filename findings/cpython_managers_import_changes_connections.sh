#!/usr/bin/env bash
# CPython 3.8 to 3.13 (each python3 that is found). What a multiprocessing connection, queue or pool can send seems to be a matter of the object. But
# `import multiprocessing.managers`, somewhere in the process, changes it, for all of them: it registers reducers in the pickler that they share.
# Before it `connection.send({}.keys())` is a TypeError, after it the other side receives a list; and an array.array goes as its bytes in this
# machine's order and width, without the format that array's own pickle has, so that array('l') of a 64-bit machine is other numbers on one
# where a long has 32 bits (64-bit Windows). `multiprocessing.Manager()` imports it, and so does a library that only might use it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/program.py" <<'PY'
import array, multiprocessing, pickletools, sys
from multiprocessing.reduction import ForkingPickler
def sent(value):
    one, two = multiprocessing.Pipe()
    try:
        one.send(value)
    except TypeError as error:
        return str(error)
    return two.recv()
def names(value):
    return [arg for op, arg, _ in pickletools.genops(bytes(ForkingPickler.dumps(value))) if isinstance(arg, str)]
assert 'multiprocessing.managers' not in sys.modules
assert "dict_keys' object" in sent({1: 2}.keys()), sent({1: 2}.keys())
assert '_array_reconstructor' in names(array.array('l', [1]))
import multiprocessing.managers
assert sent({1: 2}.keys()) == [1] and type(sent({1: 2}.keys())) is list
assert '_array_reconstructor' not in names(array.array('l', [1]))
print(sys.version.split()[0], 'as described')
PY
found=0
for python in python3.8 python3.9 python3.10 python3.11 python3.12 python3.13 python3; do
  "$python" -c '' 2>/dev/null || continue
  "$python" "$folder/program.py"
  found=1
done
[ "$found" = 1 ]
