/**
 * The connections that fetch and the agents of node:http keep for their next request. In a forked child they are its parent's, and
 * its siblings have them as well: two requests on one of them get each other's answers. A child begins with none.
 */
import type { Agent } from 'node:http';
import { calledByChildren, writtenByChildren } from '../ffi/compiled.ts';
import { atFork } from './forked_child.ts';

/** Where fetch keeps them: undici's global dispatcher, by its interface's version. */
const DISPATCHERS = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2'].map(Symbol.for);

interface AgentInternals {
  addRequest(this: Agent, ...args: unknown[]): void;
}

const state = {
  /** Whether this process has any: looked up before a fork, since each look costs a child page faults. */
  hasDispatcher: false,
  hasAgents: false,
  addRequest: undefined as AgentInternals['addRequest'] | undefined,
  /** The agents that hold nothing of the parent's. */
  own: new WeakSet<Agent>(),
};

/** Before a fork. @internal */
export function prepareConnectionPools(): void {
  state.hasDispatcher = DISPATCHERS.some((key) => Reflect.has(globalThis, key));
  const { moduleLoadList = [] } = process as { moduleLoadList?: string[] };
  state.hasAgents = moduleLoadList.includes('NativeModule http');
}

/** Before any of the child's own code: the first thing that its target does may be a request. */
function freshConnectionPools(): void {
  if (state.hasDispatcher) freshDispatchers();
  if (!state.hasAgents) return;
  state.own = new WeakSet();
  if (state.addRequest !== undefined) return; // a child of such a child
  const agents = process.getBuiltinModule('node:http').Agent.prototype as unknown as AgentInternals;
  state.addRequest = agents.addRequest;
  agents.addRequest = addRequest; // those of node:https inherit it
}

function freshDispatchers(): void {
  const globals = globalThis as Record<symbol, object | undefined>;
  for (const key of DISPATCHERS) {
    const Agent = globals[key]?.constructor;
    if (Agent?.name === 'Agent') globals[key] = Reflect.construct(Agent, []) as object;
  }
}

/** The program may have any number of agents, and nothing lists them: each is emptied when it is used. */
function addRequest(this: Agent, ...args: unknown[]): void {
  if (!state.own.has(this)) {
    state.own.add(this);
    Object.assign(this, { requests: {}, sockets: {}, freeSockets: {}, totalSocketCount: 0 });
  }
  Reflect.apply(state.addRequest as AgentInternals['addRequest'], this, args);
}

atFork(freshConnectionPools);
calledByChildren(addRequest, freshDispatchers);
writtenByChildren(state);
