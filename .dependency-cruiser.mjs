import { packages, rooms } from './house.mjs';

/** In a list of places from the ground up: none may import one that stands after it. */
function upwards(name, places) {
  return places.slice(0, -1).map((place, i) => ({
    name: `${name}: ${place} is below`,
    severity: 'error',
    from: { path: `^${place}/` },
    to: { path: `^(${places.slice(i + 1).join('|')})/` },
  }));
}

export default {
  forbidden: [
    // A type in a circle counts: who reads one of the files has to read all.
    { name: 'no circle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'nothing that is not there',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^internal/' }, // Node's own,
    },
    ...upwards(
      'packages',
      packages.map((name) => `packages/${name}`),
    ),
    ...packages.map((name) => ({
      name: `${name}: by its own name`,
      severity: 'error',
      from: { path: `^packages/${name}/src/` },
      to: { path: `^packages/${name}/dist/` },
    })),
    ...Object.entries(rooms).flatMap(([name, list]) => [
      ...upwards(
        name,
        list.map(({ room }) => `packages/${name}/src/${room}`),
      ),
      {
        name: `${name}: a room that house.mjs does not know`,
        severity: 'error',
        from: { path: `^packages/${name}/src/[^/]+/`, pathNot: roomsOf(name) },
        to: {},
      },
      {
        name: `${name}: only what is exported`,
        severity: 'error',
        from: { path: roomsOf(name) },
        to: { path: `^packages/${name}/src/index.ts$` },
      },
    ]),
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: '(node_modules|/dist/)' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'default'],
      extensions: ['.ts', '.js'],
    },
  },
};

function roomsOf(name) {
  return `^packages/${name}/src/(${rooms[name].map(({ room }) => room).join('|')})/`;
}
