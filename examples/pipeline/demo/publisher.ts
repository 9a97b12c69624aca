/** A publisher process: it runs the command line of this example, whose output shows its progress. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Machine } from './machines'

const running = new Set<ChildProcess>()

/** Kills every publisher and waits until all of them have ended. */
export async function killAll(): Promise<void> {
  await Promise.all(
    [...running].map((child) => {
      child.kill('SIGKILL')
      return child.exitCode === null && child.signalCode === null ? once(child, 'close') : undefined
    }),
  )
}

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Publisher {
  /** Documents it has written, before and after it was started again. */
  changed = 0
  private dealtWith = 0
  private stderr = ''
  private child!: ChildProcess
  private closed!: Promise<unknown>
  private waiting?: { target: number; resolve: () => void }

  /**
   * @param args the folders with its documents, and options.
   * @param onDocument is called with the route of each document that it says is published.
   * @param machine where it runs; here by default.
   */
  constructor(
    private readonly cli: string,
    private readonly content: string,
    private readonly args: readonly string[],
    private readonly onDocument: (route: string) => void = () => {},
    private readonly machine: Machine = { run: [] },
  ) {
    this.start()
  }

  start(): void {
    const { run, env } = this.machine
    const program = [...run, process.execPath, this.cli]
    const [command = '', ...args] = [...program, '--content', this.content, 'publish', ...this.args]
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    const child = this.child
    running.add(child)
    this.dealtWith = 0
    this.stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => this.read(line))
    this.closed = once(child, 'close').finally(() => running.delete(child))
  }

  private read(line: string): void {
    const [, done, route] = /^(published|unchanged) +(\/.*)$/.exec(line) ?? []
    if (route === undefined) return
    this.dealtWith += 1
    if (done === 'published') this.changed += 1
    this.onDocument(route)
    if (this.waiting && this.dealtWith >= this.waiting.target) this.waiting.resolve()
  }

  /** Resolves when it has dealt with this many documents, or has ended. */
  async reaches(target: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.waiting = { target, resolve }
    })
    await Promise.race([reached, this.closed])
  }

  /** @returns whether it was still running; resolves when it is gone. */
  async kill(): Promise<boolean> {
    this.child.kill('SIGKILL')
    await this.closed
    return this.child.signalCode === 'SIGKILL'
  }

  /** @throws Error with what it wrote to stderr if it did not end with exit code 0. */
  async ends(): Promise<void> {
    const { child } = this
    await this.closed
    if (child.exitCode === 0) return
    throw new Error(
      `a publisher ended with ${child.signalCode ?? `exit code ${child.exitCode}`}\n${this.stderr.trim()}`,
    )
  }
}
