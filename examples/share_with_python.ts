/**
 * One list in shared memory, for a Node and a Python process at the same time.
 *
 *     npx tsx examples/share_with_python.ts
 *
 * Python attaches by the name of the list and finds a `multiprocessing.shared_memory.ShareableList`. Before 3.13 a
 * Python unlinks at its end what it has attached to; `unregister` keeps it from that.
 */
import { spawnSync } from 'node:child_process';
import * as mp from 'multiprocessing';
import { ShareableList } from 'multiprocessing/shared_memory';

const program = `
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import ShareableList

items = ShareableList(name=sys.argv[1])
resource_tracker.unregister(items.shm._name, 'shared_memory')
print('Python reads', list(items))
items[0] = 'Python'
items[1] += 1
items.shm.close()
`;

if (mp.isMain(import.meta)) {
  const list = new ShareableList(['Node.js', 41, 2.5, null, true]);
  console.log('Node writes ', [...list]);
  const { error, status, stdout, stderr } = spawnSync('python3', ['-c', program, list.shm.name], {
    encoding: 'utf8',
  });
  if (error) {
    console.log(`There is no python3 here (${error.message}): nobody to share with.`);
  } else {
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    console.log('Node reads  ', [...list]);
    process.exitCode = status ?? 1;
  }
  list.shm.close();
  list.shm.unlink();
}
