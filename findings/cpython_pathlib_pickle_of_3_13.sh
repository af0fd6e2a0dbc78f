#!/usr/bin/env bash
# CPython 3.13 beside an older one (python3.13 and python3.12 or python3.11). Paths are pickled under the name of their module, which is taken to be
# public: `pathlib`. In 3.13 pathlib became a package, and its classes say that they live in `pathlib._local`. So a 3.13 reads paths of every
# other Python, and nobody reads those of 3.13: "No module named 'pathlib._local'; 'pathlib' is not a package", in every protocol. A manager, a queue
# server or a cache that is shared by two versions breaks with the first path that goes from the new to the old side, and not the other way.
set -euo pipefail
new=python3.13
for old in python3.12 python3.11; do "$old" -c '' 2>/dev/null && break; done
"$new" -c '' && "$old" -c ''
for protocol in 0 2 4 5; do
  said=$("$new" -c "import pathlib, pickle, sys; sys.stdout.buffer.write(pickle.dumps(pathlib.PurePosixPath('/a/b'), $protocol))" |
    "$old" -c 'import pickle, sys
try:
    print(pickle.load(sys.stdin.buffer))
except ModuleNotFoundError as error:
    print(error)')
  echo "protocol $protocol, 3.13 to $("$old" --version): $said"
  [ "$said" = "No module named 'pathlib._local'; 'pathlib' is not a package" ]
  said=$("$old" -c "import pathlib, pickle, sys; sys.stdout.buffer.write(pickle.dumps(pathlib.PurePosixPath('/a/b'), $protocol))" |
    "$new" -c 'import pickle, sys; print(pickle.load(sys.stdin.buffer))')
  [ "$said" = /a/b ]
done
echo 'as described'
