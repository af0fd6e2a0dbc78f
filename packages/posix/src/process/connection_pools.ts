/**
 * The connections that fetch and node:http keep for their next request. In a forked child they are its parent's, and its siblings
 * have them as well: two requests on one of them get each other's answers. A child begins with none.
 */
import type { Agent as HttpsAgent } from 'node:https';
import { atFork } from './forked_child.ts';

/** Where fetch keeps them: undici's global dispatcher, by its interface's version. */
const DISPATCHERS = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2'].map(Symbol.for);

const MODULES = { http: 'NativeModule http', https: 'NativeModule https' } as const;

/** Before any of the child's own code: the first thing that its target does may be a request. */
function freshConnectionPools(): void {
  const globals = globalThis as Record<symbol, object | undefined>;
  for (const key of DISPATCHERS) {
    const Agent = globals[key]?.constructor;
    if (Agent?.name === 'Agent') globals[key] = Reflect.construct(Agent, []) as object;
  }
  const loaded = (process as { moduleLoadList?: string[] }).moduleLoadList ?? [];
  for (const name of ['http', 'https'] as const) {
    if (!loaded.includes(MODULES[name])) continue;
    const module = process.getBuiltinModule(name);
    const { constructor: Agent, options } = module.globalAgent as HttpsAgent;
    module.globalAgent = Reflect.construct(Agent, [options]) as HttpsAgent;
  }
}

atFork(freshConnectionPools);
