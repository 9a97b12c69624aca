// Runs a function in another process or thread. Its source is sent there, so it sees only its arguments.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import type { AtomicFile, atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'
import { onTestFinished } from 'vitest'

const addon = createRequire(import.meta.url).resolve('@pipeline/atomic')

/** A child that is still there after this long hangs; its test then fails, and it is gone. */
const LONGEST_LIFE = 45_000

/** What a function finds elsewhere. */
export interface There {
  AtomicFile: typeof AtomicFile
  atomicIndexUpdate: typeof atomicIndexUpdate
  atomicWrite: typeof atomicWrite
  atomicWriteAll: typeof atomicWriteAll
  require: NodeJS.Require
  /** Sends a message to the test. */
  tell(message: unknown): void
  /** The next message from the test; as long as it is waited for, the process stays. */
  hear(): Promise<any>
}

type Main<A extends unknown[] | []> = (there: There, ...args: A) => unknown

type Message = { told: unknown } | { returned: unknown }

/** What the test has in hand of a function that runs elsewhere. */
export interface Running {
  /** The next message that it tells. */
  next(): Promise<any>
  /** What it returned; rejects if it ended without. */
  returned: Promise<any>
  /** Sends it a message. */
  say(message: unknown): void
}

export interface RunningProcess extends Running {
  exit: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>
  kill(signal?: NodeJS.Signals): void
}

export interface RunningThread extends Running {
  terminate(): Promise<number>
}

export interface ProcessOptions {
  execArgv?: string[]
  env?: NodeJS.ProcessEnv
  /** A line for sh that is run before node is, such as a `ulimit`. */
  before?: string
  uid?: number
}

function source<A extends unknown[] | []>(main: Main<A>, args: A, tell: string, hear: string): string {
  return `
    const { AtomicFile, atomicIndexUpdate, atomicWrite, atomicWriteAll } = require(${JSON.stringify(addon)})
    const tell = (told) => ${tell}({ told })
    const hear = () => new Promise((resolve) => ${hear}.once('message', resolve))
    const there = { AtomicFile, atomicIndexUpdate, atomicWrite, atomicWriteAll, require, tell, hear }
    Promise.resolve((${main})(there, ...${JSON.stringify(args)})).then(
      (returned) => ${tell}({ returned }),
      (error) => {
        console.error(error)
        process.exitCode = 1
      },
    )`
}

/** Sorts messages into those on the way and the last one. */
function conversation(onMessage: (listen: (message: Message) => void) => void, ended: Promise<string>) {
  const told: unknown[] = []
  const waiting: ((value: unknown) => void)[] = []
  let finish: (value: unknown) => void
  const returned = new Promise<unknown>((resolve, reject) => {
    finish = resolve
    ended.then((how) => reject(new Error(`ended without a result: ${how}`)))
  })
  returned.catch(() => {})
  onMessage((message) => {
    if ('told' in message) {
      const waiter = waiting.shift()
      if (waiter) waiter(message.told)
      else told.push(message.told)
    } else {
      finish(message.returned)
    }
  })
  const failed = ended.then((how) => Promise.reject(new Error(`ended without a word: ${how}`)))
  failed.catch(() => {})
  const next = () =>
    told.length > 0
      ? Promise.resolve(told.shift())
      : Promise.race([new Promise((resolve) => waiting.push(resolve)), failed])
  return { next, returned }
}

/** Runs `main` in a process of its own, which the end of the test ends. */
export function inProcess<A extends unknown[] | []>(
  main: Main<A>,
  args: A,
  options: ProcessOptions = {},
): RunningProcess {
  const code = source(main, args, 'process.send', 'process')
  const node = [process.execPath, ...(options.execArgv ?? []), '-e', code]
  const [command, ...rest] = options.before
    ? ['/bin/sh', '-c', `${options.before}; exec "$@"`, 'sh', ...node]
    : node
  const child: ChildProcess = spawn(command as string, rest, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Not the runner's NODE_OPTIONS and the like: the process is to be as a user starts it.
    env: { PATH: process.env.PATH, ...options.env },
    cwd: tmpdir(),
    timeout: LONGEST_LIFE,
    killSignal: 'SIGKILL',
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let stderr = ''
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  const exit = once(child, 'close').then(([code, signal]) => ({ code, signal, stderr }))
  const ended = exit.then(({ code, signal }) => `${signal ?? code}, ${stderr}`)
  return {
    ...conversation((listen) => child.on('message', listen as (message: unknown) => void), ended),
    exit,
    say: (message) => child.send(message as string),
    kill: (signal = 'SIGKILL') => child.kill(signal),
  }
}

/** The code of a worker thread that runs `main`. */
export function inWorker<A extends unknown[] | []>(main: Main<A>, ...args: A): string {
  const port = `require('node:worker_threads').parentPort`
  return source(main, args, `${port}.postMessage`, port)
}

/** Runs `main` in a worker thread of this process. */
export function inThread<A extends unknown[] | []>(
  main: Main<A>,
  args: A,
  options: WorkerOptions = {},
): RunningThread {
  const worker = new Worker(inWorker(main, ...args), { ...options, eval: true })
  onTestFinished(async () => {
    await worker.terminate()
  })
  const exit = once(worker, 'exit').then(([code]) => code as number)
  let error = ''
  worker.on('error', (cause) => {
    error = String(cause)
  })
  return {
    ...conversation(
      (listen) => worker.on('message', listen),
      exit.then((code) => `${code} ${error}`),
    ),
    say: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
  }
}
