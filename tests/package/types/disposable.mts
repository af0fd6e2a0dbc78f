/** `using`, with no more in lib than es2022. */
import * as mp from 'multiprocessing';

const lock = mp.Lock();
{
  using _ = lock.guardSync();
}
await using _ = await lock.guard();
