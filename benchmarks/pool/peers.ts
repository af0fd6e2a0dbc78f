/** The pools of Node that the benchmark and the comparison of behaviours install, at these versions. */
export const PEERS: Readonly<Record<string, string>> = {
  piscina: '5.3.2',
  tinypool: '2.2.0',
  workerpool: '10.0.3',
  'jest-worker': '30.5.1',
  poolifier: '5.3.2',
};
