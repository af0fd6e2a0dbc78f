/** Asks a server so many times, one request behind the other, and tells how long 99 of 100 took at most. */
import { Agent, get } from 'node:http';

const [, , port, count] = process.argv;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

const ask = () =>
  new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent }, (response) => {
      response.resume().on('end', resolve);
    }).on('error', reject);
  });

const times = [];
for (let i = 0; i < Number(count) * 1.2; i++) {
  const begin = performance.now();
  await ask();
  times.push(performance.now() - begin);
}
agent.destroy();
const measured = times.slice(-Number(count)).sort((a, b) => a - b);
process.send(measured[Math.floor(measured.length * 0.99)]);
process.disconnect();
