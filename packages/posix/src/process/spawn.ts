/**
 * Starting another program: posix_spawn(3) with passed fds, and execve(2) in place.
 */
import { existsSync } from 'node:fs';
import { close, dupAbove, setCloexec } from '../fds/fd.ts';
import { POSIX_SPAWN_SETPGROUP, platform } from '../ffi/constants.ts';
import { osError } from '../ffi/errors.ts';
import { hasSymbol, native, syscall } from '../ffi/ffi.ts';
import { isOpen } from '../ffi/fstat.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const cPosixSpawn = native(
  'int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char **argv, const char **envp)',
);
const actionsInit = native('int posix_spawn_file_actions_init(void *actions)');
const actionsDestroy = native('int posix_spawn_file_actions_destroy(void *actions)');
const actionsDup2 = native(
  'int posix_spawn_file_actions_adddup2(void *actions, int fd, int newfd)',
);
const actionsCloseFrom = native(
  'int posix_spawn_file_actions_addclosefrom_np(void *actions, int from)',
);
const actionsChdir = native(
  'int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)',
);
const attributesInit = native('int posix_spawnattr_init(void *attributes)');
const attributesDestroy = native('int posix_spawnattr_destroy(void *attributes)');
const setFlags = native('int posix_spawnattr_setflags(void *attributes, short flags)');
const setSigdefault = native('int posix_spawnattr_setsigdefault(void *attributes, void *set)');
const setSigmask = native('int posix_spawnattr_setsigmask(void *attributes, void *set)');
const sigfillset = native('int sigfillset(void *set)');
const sigemptyset = native('int sigemptyset(void *set)');
const sigaddset = native('int sigaddset(void *set, int signal)');
const cExecve = syscall('int execve(const char *path, const char **argv, const char **envp)');

/** How a program is started. */
export interface SpawnOptions {
  env?: Environment;
  /** The program finds them as 3, 4, 5 ... in their order. */
  passFds?: readonly number[];
  /** Numbers of signals that wait until the program lets them through, from its first instruction on. */
  blocked?: readonly number[];
  /** Whether it gets a process group of its own, which the signals of a terminal do not reach. */
  ownGroup?: boolean;
  /** Where it starts; undefined: in this process's working directory. */
  directory?: string | undefined;
}

/** The first number that passed fds get in the child: after stdin, stdout and stderr. */
export const FIRST_PASSED_FD = 3;

const STANDARD_STREAMS = [0, 1, 2];

function environment(env: Environment): (string | null)[] {
  const entries = Object.entries(env).filter(([, value]) => value !== undefined);
  return [...entries.map(([name, value]) => `${name}=${value}`), null];
}

function check(errno: number, call: string, detail: string): void {
  if (errno !== 0) throw osError(errno, call, detail);
}

/**
 * Starts a program in a new process. It inherits stdin, stdout, stderr and the fds in `passFds`, which
 * it finds as 3, 4, 5 ... in that order; every other fd is closed there. All signals have their default
 * action, and none is blocked but those in `blocked`.
 *
 * @param path the executable
 * @param argv its arguments, argv[0] included
 * @returns the pid
 * @throws OSError, for instance ENOENT, EACCES: then no process was made
 */
export function posixSpawn(
  path: string,
  argv: readonly string[],
  options: SpawnOptions = {},
): number {
  const { directory, ...rest } = options;
  if (directory === undefined) return spawn(path, argv, rest);
  if (!existsSync(directory)) throw osError(2 /* ENOENT */, 'chdir', directory);
  if (hasSymbol('posix_spawn_file_actions_addchdir_np')) return spawn(path, argv, options);
  // glibc before 2.29
  const script = 'cd -- "$0" && exec "$@"';
  return spawn('/bin/sh', ['sh', '-c', script, directory, path, ...argv.slice(1)], rest);
}

function spawn(
  path: string,
  argv: readonly string[],
  { env = process.env, passFds = [], blocked = [], ownGroup = false, directory }: SpawnOptions,
): number {
  const end = FIRST_PASSED_FD + passFds.length;
  const actions = Buffer.alloc(platform.sizeofFileActions);
  const attributes = Buffer.alloc(platform.sizeofSpawnAttributes);
  const temporary: number[] = [];
  check(actionsInit(actions), 'posix_spawn_file_actions_init', path);
  check(attributesInit(attributes), 'posix_spawnattr_init', path);
  try {
    // Every source is above the target range first, so that no dup2 overwrites a source still needed.
    passFds.forEach((fd, i) => {
      const source = dupAbove(fd, end);
      temporary.push(source);
      check(
        actionsDup2(actions, source, FIRST_PASSED_FD + i),
        'posix_spawn_file_actions_adddup2',
        `fd ${fd}`,
      );
    });
    // Node sets FD_CLOEXEC on its standard streams; a dup2 onto itself clears it in the child.
    for (const fd of STANDARD_STREAMS.filter(isOpen)) actionsDup2(actions, fd, fd);
    if (platform.POSIX_SPAWN_CLOEXEC_DEFAULT === 0 && hasCloseFrom()) {
      check(actionsCloseFrom(actions, end), 'posix_spawn_file_actions_addclosefrom_np', path);
    }
    if (directory !== undefined) {
      check(actionsChdir(actions, directory), 'posix_spawn_file_actions_addchdir_np', directory);
    }
    setSignals(attributes, blocked);
    setFlags(
      attributes,
      platform.POSIX_SPAWN_SETSIGDEF |
        platform.POSIX_SPAWN_SETSIGMASK |
        platform.POSIX_SPAWN_CLOEXEC_DEFAULT |
        (ownGroup ? POSIX_SPAWN_SETPGROUP : 0),
    );
    const pid = [0];
    const failed = cPosixSpawn(pid, path, actions, attributes, [...argv, null], environment(env));
    check(failed, 'posix_spawn', path);
    return pid[0] as number;
  } finally {
    for (const fd of temporary) close(fd);
    actionsDestroy(actions);
    attributesDestroy(attributes);
  }
}

/** All signals get their default action, and these wait. */
function setSignals(attributes: Buffer, blocked: readonly number[]): void {
  const signals = Buffer.alloc(platform.sizeofSigset);
  sigfillset(signals);
  setSigdefault(attributes, signals);
  sigemptyset(signals);
  for (const signal of blocked) sigaddset(signals, signal);
  setSigmask(attributes, signals);
}

let closeFrom: boolean | undefined;

/** glibc has it since 2.34; without it, what Node opened is closed by its FD_CLOEXEC flag. */
function hasCloseFrom(): boolean {
  closeFrom ??= hasSymbol('posix_spawn_file_actions_addclosefrom_np');
  return closeFrom;
}

/**
 * Replaces the running program in place: pid, stdin, stdout and stderr stay. Returns only by throwing.
 * @throws OSError
 */
export function execve(
  path: string,
  argv: readonly string[],
  env: Environment = process.env,
): never {
  // Node sets FD_CLOEXEC on its standard streams; the new program would start without them.
  for (const fd of STANDARD_STREAMS.filter(isOpen)) setCloexec(fd, false);
  cExecve(path, [...argv, null], environment(env));
  throw new Error('execve returned');
}
