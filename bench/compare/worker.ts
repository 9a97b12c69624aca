// The parent's side of worker.mjs.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Failure {
  name: string
  message: string
  code?: string
}

interface Answer<Value> {
  value?: Value
  error?: Failure
}

const STUCK: Failure = { name: 'Stuck', message: 'no answer' }

interface Message {
  ready?: true
  answer?: { value?: unknown; error?: Failure }
  index?: number
  post?: number
}

export class Worker {
  /** The last version of the index whose promise has resolved, and all new files whose promises have. */
  readonly acknowledged = { index: 0, posts: [] as number[] }

  private constructor(private readonly process: ChildProcess) {
    process.on('message', ({ index, post }: Message) => {
      if (index !== undefined) this.acknowledged.index = index
      if (post !== undefined) this.acknowledged.posts.push(post)
    })
  }

  /** `tracer` is a command that runs another one. */
  static async start(contender: string, tracer: string[] = []): Promise<Worker> {
    // In `NODE_ENV=test` lowdb writes no file.
    const env = { ...process.env, NODE_ENV: 'production' }
    const [execPath = process.execPath, ...execArgv] = [
      ...tracer,
      ...(tracer.length ? [process.execPath] : []),
    ]
    const worker = new Worker(fork(join(__dirname, 'worker.mjs'), [contender], { execPath, execArgv, env }))
    await worker.message(({ ready }) => ready)
    return worker
  }

  /** What the task returned, or how it failed, which it did too if it has no answer after `patience` milliseconds. */
  async ask<Value>(task: string, question: object, patience = 60_000): Promise<Answer<Value>> {
    this.process.send({ task, ...question })
    const waiting = new AbortController()
    const stuck = sleep(patience, { error: STUCK }, { signal: waiting.signal })
    const answer = this.message(({ answer }) => answer as Answer<Value>)
    try {
      return await Promise.race([answer, stuck])
    } finally {
      waiting.abort()
      stuck.catch(() => {})
      // The process is about to be killed.
      answer.catch(() => {})
    }
  }

  /** Starts a task that has no end, and resolves when its first write was acknowledged. */
  async begin(task: string, question: object): Promise<void> {
    this.process.send({ task, ...question })
    const { error } = (await this.message(({ index, answer }) => (index ? {} : answer))) ?? {}
    if (error) throw new Error(error.message)
  }

  /** Lets it end by itself. */
  async leave(): Promise<void> {
    const gone = once(this.process, 'exit')
    this.process.disconnect()
    await gone
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const gone = once(this.process, 'exit')
    this.process.kill('SIGKILL')
    await gone
  }

  /** Stops all its threads where they are. A system call that cannot be interrupted is finished first. */
  async freeze(): Promise<void> {
    this.process.kill('SIGSTOP')
    const folder = `/proc/${this.process.pid}/task`
    const isStopped = (thread: string) => {
      const stat = readFileSync(join(folder, thread, 'stat'), 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2)[0] === 'T'
    }
    while (!readdirSync(folder).every(isStopped)) await sleep(1)
    // What it has said by now is read.
    await sleep(2)
  }

  thaw(): void {
    this.process.kill('SIGCONT')
  }

  private message<Value>(pick: (message: Message) => Value | undefined): Promise<Value> {
    return new Promise((resolve, reject) => {
      const done = (settle: () => void) => {
        this.process.off('message', onMessage)
        this.process.off('exit', onExit)
        settle()
      }
      const onMessage = (message: Message) => {
        const picked = pick(message)
        if (picked !== undefined) done(() => resolve(picked))
      }
      const onExit = (code: number | null, signal: string | null) =>
        done(() => reject(new Error(`a worker ended: ${signal ?? code}`)))
      this.process.on('message', onMessage)
      this.process.on('exit', onExit)
    })
  }
}
