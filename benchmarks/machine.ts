/**
 * Where figures come from: the machine, the Node, and the CPython that they are compared with.
 */
import { spawnSync } from 'node:child_process';
import { cpus, release } from 'node:os';

export interface Python {
  readonly executable: string;
  readonly version: string;
}

const question =
  'import platform, sys; print(sys.implementation.name, platform.python_version(), sys.executable)';

/**
 * The interpreter that MULTIPROCESSING_BENCH_PYTHON names, else the newest of those in PATH (PYENV users set
 * PYENV_VERSION). Undefined, and a note on stderr, where there is none.
 */
export function findPython(): Python | undefined {
  const named = process.env.MULTIPROCESSING_BENCH_PYTHON;
  const found = (named ? [named] : ['python3.13', 'python3']).flatMap((command) => {
    const { status, stdout } = spawnSync(command, ['-c', question], { encoding: 'utf8' });
    // The path that it says of itself: the command may be a wrapper that costs time of its own.
    const [, version, executable] = /^cpython (\S+) (.+)$/m.exec(stdout ?? '') ?? [];
    return status === 0 && version && executable ? [{ version, executable }] : [];
  });
  const byVersion = (a: Python, b: Python) =>
    b.version.localeCompare(a.version, 'en', { numeric: true });
  const [newest] = found.sort(byVersion);
  if (newest === undefined) {
    console.error(
      `no CPython (${named ?? 'python3.13, python3'}) that runs: it is left out. MULTIPROCESSING_BENCH_PYTHON names one`,
    );
  }
  return newest;
}

/** One line of text. */
export function describeMachine(python?: Python): string {
  const parts = [
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores`,
    `${process.platform} ${release()} ${process.arch}`,
    `Node ${process.versions.node}`,
    ...(python === undefined ? [] : [`CPython ${python.version}`]),
    new Date().toISOString().slice(0, 10),
  ];
  return parts.join('; ');
}
