/**
 * A tour: runs the examples beside this file as programs of their own, and says what to see in each.
 *
 *     npx tsx examples/demo.ts
 *
 * Its exit code is 1 if one of them fails.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getAllStartMethods } from 'multiprocessing';

interface Stop {
  readonly heading: string;
  /** What is run: a file, then its arguments. */
  readonly command: readonly [file: string, ...args: string[]];
  readonly see: string;
}

const example = (name: string) => fileURLToPath(new URL(`${name}.ts`, import.meta.url));
const home = new URL('../packages/multiprocessing/', import.meta.url);
const { bin } = JSON.parse(readFileSync(new URL('package.json', home), 'utf8'));
const cli = fileURLToPath(new URL(bin.multiprocessing, home));
const forks = process.platform === 'linux';
const forkserver = getAllStartMethods().includes('forkserver');
const methods = ['spawn', ...(forks ? ['fork'] : []), ...(forkserver ? ['forkserver'] : [])];

/** The same program under each start method. */
function under(
  heading: string,
  name: string,
  see: Readonly<Record<string, string>>,
): readonly Stop[] {
  return methods.map((method) => ({
    heading: `${heading}, ${method}`,
    command: [example(name), method],
    see: see[method] ?? '',
  }));
}

/** Programs that call fork(2) themselves. */
const raw: readonly Stop[] = [
  {
    heading: 'os.waitpid',
    command: [example('os_waitpid')],
    see: 'Two children. Nothing has ended twice, then one ended child at a time, then ECHILD.',
  },
  {
    heading: 'os.pipe, a child and its parent',
    command: [example('os_pipe_parent_child')],
    see: 'The same fd numbers in both processes: a fork copies the table of open files.',
  },
  {
    heading: 'os.pipe, two siblings',
    command: [example('os_pipe_siblings')],
    see: 'One child wrote it, another child printed it.',
  },
  {
    heading: 'os.pipe, many children',
    command: [example('os_pipe_many')],
    see: 'A new pipe for each child: the numbers grow because the parent keeps its ends open.',
  },
];

/** Queues, named memory, listeners, and fds for processes that run already, which are Linux's. */
const shared: readonly Stop[] = [
  {
    heading: 'One HTTP port, many processes',
    command: [example('pass_a_socket')],
    see: 'The parent accepted, and passed each socket over a Pipe. The children read the requests and answered.',
  },
  {
    heading: 'A queue',
    command: [example('queue_producer_consumer')],
    see: 'Two processes put and two took, each pair once blocking and once in its event loop: nothing lost, nothing twice.',
  },
  {
    heading: 'Tasks that are done',
    command: [example('joinable_queue')],
    see: 'join() waited for six tasks, of which one had made two. The workers are daemons and were not waited for.',
  },
  {
    heading: 'A pool',
    command: [example('pool_map')],
    see: 'Four processes, and one function after the other for many items: with names and without.',
  },
  {
    heading: 'A pool, and how far it is',
    command: [example('pool_imap_progress')],
    see: 'Results as they came. In a terminal of its own it draws a bar.',
  },
  {
    heading: 'Tasks that are stopped',
    command: [example('pool_timeout_cancel')],
    see: 'An endless loop ended by its time, two tasks by a signal, when they had tidied up. Two others never began.',
  },
  {
    heading: 'Futures',
    command: [example('executor_as_completed')],
    see: 'Five processes slept at the same time, and each result was there when it was ready.',
  },
  ...under('Images that a pool makes smaller', 'pool_images', {
    spawn: 'Each worker has loaded sharp for itself.',
    fork: 'The same: this process has threads, so that its children are no copies of it.',
    forkserver: 'The same, in copies of a server that has no threads.',
  }),
  {
    heading: 'A web server that computes',
    command: [example('web_server_pool')],
    see: 'Where the server computes itself, all others wait. Where a pool does, they do not.',
  },
  ...under('A list and a dict in a manager', 'manager_list_dict', {
    spawn: 'Two processes changed what a third one holds.',
    fork: 'The same: the children have the proxies of their parent, and references of their own.',
    forkserver: 'The same: the proxies were sent.',
  }),
  {
    heading: 'A namespace',
    command: [example('namespace')],
    see: 'Three processes counted a hundred times each: with the lock nothing is lost.',
  },
  {
    heading: 'A class of your own, for several processes',
    command: [example('manager_custom')],
    see: 'One object, in the manager. Who waited for 50 held up nobody.',
  },
  {
    heading: 'Two programs by TCP',
    command: [example('manager_remote')],
    see: 'Each call went there and back. Who does not hold the key was sent away.',
  },
  {
    heading: 'A dict and a queue for Node and Python',
    command: [example('manager_python')],
    see: 'Python used what a Node manager holds, as if it were one of its own.',
  },
  {
    heading: 'A list that Node and Python share',
    command: [example('share_with_python')],
    see: 'Nothing was sent: both processes read and wrote the same bytes.',
  },
  {
    heading: 'A Python that connects',
    command: [example('python_client')],
    see: 'Each side got objects of its own language: a dict is an object or a Map, a tuple a Tuple.',
  },
];

const tour: readonly Stop[] = [
  ...(forks ? raw : []),
  ...under('A function in a process', 'process_hello', {
    spawn: 'Printed by a fresh Node that imported the function by its name.',
    fork: 'Printed by a copy of the parent: nothing was imported, nothing was sent.',
    forkserver: 'Printed by a copy of a server that had imported the program before.',
  }),
  {
    heading: 'Functions that take along what they use',
    command: [example('closure')],
    see: 'No function has a name that a child could import. Each child counted on from 1, and the parent is still there.',
  },
  {
    heading: 'fork without a flag',
    command: [example('fork_everywhere')],
    see: 'The main module ran once: no guard. This process has threads and cannot fork, and its children have its values.',
  },
  {
    heading: 'A class derived from Process',
    command: [example('process_subclass')],
    see: 'The child has its own copy of the object, under every start method: it never sees the 2.',
  },
  ...under('The main guard', 'start_method_guard', {
    spawn: 'Each spawned child executes the main module again, with isMain() false.',
    fork: 'A fork executes nothing again.',
    forkserver: 'The server executes the main module once, for all its children.',
  }),
  ...under('os._exit and exit handlers', 'os_exit', {
    spawn: 'A spawned child ends as a program does: its exit handler runs.',
    fork: 'Nothing printed: a forked child leaves by _exit(2), and its handler does not run.',
    forkserver: 'Its handler runs.',
  }),
  ...under('A lock, and a number that two processes change', 'lock_value', {
    spawn: 'One adds 1 a thousand times, one subtracts it: nothing is lost.',
    fork: 'The same: memory and lock are inherited.',
    forkserver: 'The same: they were passed to the server with the process.',
  }),
  {
    heading: 'A number that a scheduler and its workers share',
    command: [example('shared_value_scheduler')],
    see: 'What the scheduler adds, the workers see. Compare with the class derived from Process, above.',
  },
  {
    heading: 'An event',
    command: [example('event')],
    see: 'One runner waits in the kernel, the other in its event loop. One set() starts both.',
  },
  {
    heading: 'A barrier',
    command: [example('barrier')],
    see: 'Nobody begins a step before all have done the last.',
  },
  {
    heading: 'A pipe',
    command: [example('pipe')],
    see: 'Answers come in the order of the questions, and an EOFError when the other end is closed.',
  },
  {
    heading: 'Waiting for many',
    command: [example('wait_many')],
    see: 'One loop read from three children, and saw each end of file and each exit.',
  },
  {
    heading: 'Daemons',
    command: [example('daemon_process')],
    see: 'task1 is a daemon and dies with the main program. task2 is none and is waited for.',
  },
  ...(forks ? shared : []),
  {
    heading: 'A typed array in shared memory',
    command: [example('shared_numpy_style')],
    see: 'Four processes filled one array of 100 million bytes. None of them got a copy.',
  },
  {
    heading: 'The life of a process, by `multiprocessing trace`',
    command: [cli, 'trace', example('process_hello'), forkserver ? 'forkserver' : 'spawn'],
    see: 'Milliseconds, pid, process, layer (a source file), event: from start() to the reap.',
  },
];

interface Result {
  readonly output: string;
  readonly failure: string | undefined;
}

/** Runs a program to its end, 20 seconds at most. */
function run({ command }: Stop): Promise<Result> {
  const child = spawn(process.execPath, [...process.execArgv, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const failure = code === 0 ? undefined : `it ended with ${signal ?? `exit code ${code}`}`;
      resolve({ output: Buffer.concat(chunks).toString(), failure });
    });
  });
}

function print({ heading, command, see }: Stop, { output, failure }: Result): void {
  const [file, ...args] = command.map((word) => relative(process.cwd(), word) || word);
  const shown =
    command[0] === cli ? ['npx multiprocessing', ...args] : [`npx tsx ${file}`, ...args];
  const indented = output
    .trimEnd()
    .split('\n')
    .map((line) => `    ${line}`.trimEnd());
  console.log(
    `\n== ${heading}\n   $ ${shown.join(' ')}\n\n${indented.join('\n') || '    (no output)'}\n`,
  );
  console.log(failure === undefined ? `   ${see}` : `   FAILED: ${failure}`);
}

console.log(
  `multiprocessing on Node ${process.versions.node}, start methods: ${methods.join(', ')}`,
);
if (!forks) console.log('fork(2) needs Linux: its examples are left out');

// A few at a time, printed in their order.
const AT_ONCE = 3;
const results: (Promise<Result> | undefined)[] = [];
const failed: string[] = [];
for (const [i, stop] of tour.entries()) {
  for (const [ahead, next] of tour.slice(0, i + AT_ONCE).entries()) results[ahead] ??= run(next);
  const result = (await results[i]) as Result;
  print(stop, result);
  if (result.failure !== undefined) failed.push(`${stop.heading} (${basename(stop.command[0])})`);
}

if (failed.length > 0) {
  console.log(`\nFAILED: ${failed.join('; ')}`);
  process.exitCode = 1;
} else {
  console.log('\nWhat stands behind it: docs/start-methods.md and docs/design.md.');
}
