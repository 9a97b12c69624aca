// Runs a function in another process or thread. Its source is sent there, so it sees only its arguments.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import { inject, onTestFinished } from 'vitest'
import { descriptorsBelow } from './descriptors'
import { HANG_MS } from './hang'

type Package = typeof import('@pipeline/atomic')

/** What the function gets as its first argument: the package, and more. */
export interface Remote extends Package {
  /** The path by which the process loads the package: for its own threads. */
  addon: string
  require: NodeJS.Require
  /** Sends a message to the test. */
  send(message: unknown): void
  /** The next message from the test. While it is awaited, the process stays alive. */
  receive(): Promise<any>
  /** Waits until `isSo`. */
  until(isSo: () => boolean): Promise<void>
  /** What the process has open below `dir` (Linux). */
  openBelow(dir: string): string[]
}

export type Main<A extends unknown[] | []> = (remote: Remote, ...args: A) => unknown

type Message = { sent: unknown } | { returned: unknown }

/** The test's side of a function that runs elsewhere. */
export interface Running {
  /** The next message that it sends. */
  next(): Promise<any>
  /** What it returned; rejects if it ended without returning. */
  returned: Promise<any>
  /** Sends it a message. */
  send(message: unknown): void
}

export interface RunningProcess extends Running {
  pid: number
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
  /** Where it runs. */
  cwd?: string
  /** The path of the package, if it is not to be the copy that all processes use. */
  addon?: string
  /** It is not ended with the test, for others of its file to use: by `kill`, and when nobody is there to send it anything. */
  isKept?: boolean
}

async function until(isSo: () => boolean, ms: number) {
  for (const end = Date.now() + ms; !isSo(); await new Promise((resolve) => setTimeout(resolve, 2))) {
    if (Date.now() > end) throw new Error(`never came: ${isSo}`)
  }
}

function source<A extends unknown[] | []>(
  addon: string,
  main: Main<A>,
  args: A,
  send: string,
  receive: string,
): string {
  return `
    const addon = ${JSON.stringify(addon)}
    const send = (sent) => ${send}({ sent })
    const receive = () => new Promise((resolve) => ${receive}.once('message', resolve))
    const openBelow = (dir) => (${descriptorsBelow})(require('node:fs'), dir)
    const until = (isSo) => (${until})(isSo, ${HANG_MS})
    const remote = { ...require(addon), addon, require, send, receive, until, openBelow }
    Promise.resolve((${main})(remote, ...${JSON.stringify(args)})).then(
      (returned) => ${send}({ returned }),
      (error) => {
        console.error(error)
        process.exitCode = 1
      },
    )`
}

/** Sorts messages into those on the way and the last one. */
function conversation(onMessage: (listen: (message: Message) => void) => void, ended: Promise<string>) {
  const sent: unknown[] = []
  const waiting: ((value: unknown) => void)[] = []
  let finish: (value: unknown) => void
  const returned = new Promise<unknown>((resolve, reject) => {
    finish = resolve
    ended.then((how) => reject(new Error(`ended without a result: ${how}`)))
  })
  returned.catch(() => {})
  onMessage((message) => {
    if ('sent' in message) {
      const waiter = waiting.shift()
      if (waiter) waiter(message.sent)
      else sent.push(message.sent)
    } else {
      finish(message.returned)
    }
  })
  const failed = ended.then((how) => Promise.reject(new Error(`ended without a message: ${how}`)))
  failed.catch(() => {})
  const next = () =>
    sent.length > 0
      ? Promise.resolve(sent.shift())
      : Promise.race([new Promise((resolve) => waiting.push(resolve)), failed])
  return { next, returned }
}

/** Runs `main` in a process of its own, which the end of the test ends. */
export function inProcess<A extends unknown[] | []>(
  main: Main<A>,
  args: A,
  options: ProcessOptions = {},
): RunningProcess {
  const code = source(options.addon ?? inject('addon'), main, args, 'process.send', 'process')
  const node = [process.execPath, ...(options.execArgv ?? []), '-e', code]
  const [command, ...rest] = options.before
    ? ['/bin/sh', '-c', `${options.before}; exec "$@"`, 'sh', ...node]
    : node
  const child: ChildProcess = spawn(command as string, rest, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Not the runner's NODE_OPTIONS and the like: the process is to be as a user starts it.
    env: { PATH: process.env.PATH, ...options.env },
    cwd: options.cwd ?? tmpdir(),
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  })
  if (!options.isKept) {
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
  }
  let stderr = ''
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  const exit = once(child, 'close').then(([code, signal]) => ({ code, signal, stderr }))
  const ended = exit.then(({ code, signal }) => `${signal ?? code}, ${stderr}`)
  return {
    ...conversation((listen) => child.on('message', listen as (message: unknown) => void), ended),
    pid: child.pid as number,
    exit,
    send: (message) => child.send(message as string),
    kill: (signal = 'SIGKILL') => child.kill(signal),
  }
}

const port = `require('node:worker_threads').parentPort`

/** The code of a worker thread that runs `main` in a process that `inProcess` has started. */
export function inWorker<A extends unknown[] | []>(main: Main<A>, ...args: A): string {
  return source(inject('addon'), main, args, `${port}.postMessage`, port)
}

/** Runs `main` in a worker thread of this process, with the addon that this process has loaded. */
export function inThread<A extends unknown[] | []>(
  main: Main<A>,
  args: A,
  options: WorkerOptions = {},
): RunningThread {
  const addon = createRequire(import.meta.url).resolve('@pipeline/atomic')
  const code = source(addon, main, args, `${port}.postMessage`, port)
  const worker = new Worker(code, { ...options, eval: true })
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
    send: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
  }
}
