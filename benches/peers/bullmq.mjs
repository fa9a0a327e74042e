// Loads BullMQ over one Redis: producers that await each enqueue, or a steady rate, while worker processes run tasks
// that do nothing. Prints one JSON document: rate is tasks from the first enqueue to the last done, latencies are from
// before the enqueue to the handler's start.
//   node bullmq.mjs --home FOLDER --port PORT [--clients 64] [--seconds 5] [--warm 2] [--rate 0] [--processes 1]
//     [--slots 64]
// FOLDER has the node_modules with bullmq and ioredis.

import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const text = fallback => ({ type: 'string', default: fallback });
const { values: options } = parseArgs({
  options: {
    home: { type: 'string' }, port: { type: 'string' }, worker: { type: 'boolean', default: false },
    clients: text('64'), seconds: text('5'), warm: text('2'), rate: text('0'), processes: text('1'), slots: text('64'),
  },
});
const number = name => {
  const value = Number(options[name]);
  if (options[name] === undefined || !Number.isFinite(value)) throw new Error(`--${name} needs a number`);
  return value;
};
if (!options.home) throw new Error('--home needs the folder in which bullmq is installed');
const { Queue, Worker } = createRequire(`${options.home}/`)('bullmq');

const QUEUE = 'bench';
const DRAIN_MS = 30_000;
const connection = { host: '127.0.0.1', port: number('port'), maxRetriesPerRequest: null };
const now = () => performance.timeOrigin + performance.now(); // ms; the same clock in every process
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
const fail = error => {
  console.error(error);
  process.exit(1);
};
process.on('unhandledRejection', fail);

await (options.worker ? work() : lead());

// A worker process: tells how many tasks are done and when the last was, and in the end their latencies.
async function work() {
  let latencies = [];
  let done = 0, told = 0, lastAt = 0;
  const begin = job => { latencies.push(now() - job.data.at); };
  const worker = new Worker(QUEUE, async job => { begin(job); return { ok: true }; },
    { connection, concurrency: number('slots'), removeOnComplete: { count: 0 } });
  worker.on('completed', () => { done += 1; lastAt = now(); });
  worker.on('error', error => console.error(error.message));
  setInterval(() => { if (done !== told) process.send({ done: told = done, lastAt }); }, 5);
  process.on('message', order => {
    if (order === 'forget') latencies = [];
    else process.send({ latencies });
  });
  process.on('disconnect', () => process.exit(0));
  await worker.waitUntilReady();
  process.send({ ready: true });
}

// The producers: start the workers, load the queue once to warm up and once to measure, each until it is drained.
async function lead() {
  const [clients, seconds, warm, rate] = ['clients', 'seconds', 'warm', 'rate'].map(number);
  const queue = new Queue(QUEUE, { connection });
  await queue.obliterate({ force: true });
  const workers = await Promise.all(Array.from({ length: number('processes') }, startWorker));

  const payload = 'x'.repeat(60);
  let enqueued = 0, errors = 0;
  const counted = [() => { enqueued += 1; }, () => { errors += 1; }];
  const enqueue = () => queue.add('task', { at: now(), payload }).then(...counted);
  const done = () => workers.reduce((sum, worker) => sum + worker.done, 0);
  const load = async length => {
    await (rate > 0 ? paced(enqueue, rate, length) : closedLoop(enqueue, clients, length));
    for (const end = now() + DRAIN_MS; done() < enqueued && now() < end;) await sleep(5);
    if (done() < enqueued) fail(`${enqueued - done()} of ${enqueued} tasks were not done within ${DRAIN_MS} ms`);
  };
  await load(warm);
  for (const worker of workers) worker.child.send('forget');
  const warmedUp = enqueued, began = now();
  await load(seconds);

  const tookMs = Math.max(...workers.map(worker => worker.lastAt)) - began;
  const latencies = (await Promise.all(workers.map(worker => worker.latencies()))).flat().sort((a, b) => a - b);
  const at = part => latencies[Math.max(0, Math.ceil(latencies.length * part) - 1)];
  console.log(JSON.stringify({
    inFlight: rate > 0 ? 0 : clients, seconds, rate: (enqueued - warmedUp) / tookMs * 1000,
    p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), errors,
  }));
  for (const worker of workers) worker.child.disconnect();
  process.exit(0);
}

async function closedLoop(enqueue, clients, seconds) {
  const end = now() + seconds * 1000;
  const producer = async () => { while (now() < end) await enqueue(); };
  await Promise.all(Array.from({ length: clients }, producer));
}

// `rate` enqueues a second, none waiting for another's answer.
async function paced(enqueue, rate, seconds) {
  const began = now(), pending = [];
  for (let i = 0; i < rate * seconds; i += 1) {
    const wait = began + i * 1000 / rate - now();
    if (wait > 0.5) await sleep(wait);
    pending.push(enqueue());
  }
  await Promise.all(pending);
}

function startWorker() {
  const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--worker']);
  child.on('exit', code => { if (code) fail(`a worker ended with status ${code}`); });
  return new Promise(resolve => {
    const worker = { child, done: 0, lastAt: 0 };
    const heard = new Promise(hear => child.on('message', message => {
      if (message.ready) resolve(worker);
      if (message.done) Object.assign(worker, message);
      if (message.latencies) hear(message.latencies);
    }));
    worker.latencies = () => (child.send('tell'), heard);
  });
}
