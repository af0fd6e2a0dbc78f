#!/usr/bin/env bash
# CPython 3.8 to 3.13 (each python3 that is found). A pickle is expected to give back the class that it was made of, or an error. In
# protocols 0 to 2, which mean to be read by Python 2, the names of some builtins are replaced by those of Python 2, and not back: a
# FileNotFoundError('x'), a TimeoutError('x'), a BrokenPipeError('x') come back as OSError, a ModuleNotFoundError as ImportError, in the same
# Python that wrote them, without a word. With an errno an OSError finds its class again by that, so that tests with real errors of the
# system do not see it; those that programs raise with a text do. `fix_imports=False` on both sides keeps them. The same protocols drop `fold` of a
# datetime or time, and 3 does, too; what comes back is equal to what went, as == does not look at it, but another moment.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/program.py" <<'PY'
import datetime, pickle, sys
def through(value, **how):
    return [pickle.loads(pickle.dumps(value, p, **how), **how) for p in range(6)]
names = lambda values: ' '.join(type(v).__name__ for v in values)
for cls, other in (FileNotFoundError, 'OSError'), (TimeoutError, 'OSError'), (BrokenPipeError, 'OSError'), (ModuleNotFoundError, 'ImportError'):
    own = cls.__name__
    assert names(through(cls('text'))) == ' '.join([other] * 3 + [own] * 3), names(through(cls('text')))
    assert names(through(cls('text'), fix_imports=False)) == ' '.join([own] * 6)
assert names(through(FileNotFoundError(2, 'text'))) == ' '.join(['FileNotFoundError'] * 6)
time = datetime.datetime(2024, 10, 27, 2, 30, fold=1)
assert [t.fold for t in through(time)] == [0, 0, 0, 0, 1, 1]
assert all(t == time for t in through(time))
print(sys.version.split()[0], 'as described')
PY
found=0
for python in python3.8 python3.9 python3.10 python3.11 python3.12 python3.13 python3; do
  "$python" -c '' 2>/dev/null || continue
  "$python" "$folder/program.py"
  found=1
done
[ "$found" = 1 ]
