// A Node process that answers one question at a time, over Node's IPC.

import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

type Answer = { value: unknown } | { error: string }

export class Child {
  private constructor(private readonly process: ChildProcess) {}

  /** Starts `script`, a file beside this one that calls `serve`. `before` is a command that runs Node. */
  static async start(
    script: string,
    {
      before = [],
      node = [],
      env = {},
    }: { before?: string[]; node?: string[]; env?: NodeJS.ProcessEnv } = {},
  ): Promise<Child> {
    // Node's own arguments make it read TypeScript.
    const line = [...before, process.execPath, ...process.execArgv, ...node]
    const options: ForkOptions = {
      execPath: line[0] ?? process.execPath,
      execArgv: line.slice(1),
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }
    const child = new Child(fork(join(__dirname, script), options))
    await child.answer()
    return child
  }

  async ask<Result>(question: unknown): Promise<Result> {
    this.process.send(question as object)
    return (await this.answer()) as Result
  }

  /** Resolves when the process has ended. */
  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const gone = once(this.process, 'exit')
    if (this.process.connected) this.process.disconnect()
    await gone
  }

  private answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null, signal: string | null) =>
        reject(new Error(`a child ended: ${signal ?? code}`))
      this.process.once('exit', onExit)
      this.process.once('error', reject)
      this.process.once('message', (answer: Answer) => {
        this.process.off('exit', onExit)
        this.process.off('error', reject)
        if ('error' in answer) reject(new Error(answer.error))
        else resolve(answer.value)
      })
    })
  }
}

/** In the child: answers every question until the parent disconnects. */
export function serve<Question>(answer: (question: Question) => Promise<unknown>): void {
  process.on('message', async (question: Question) => {
    const result: Answer = await answer(question).then(
      (value) => ({ value: value ?? null }),
      (error) => ({ error: error instanceof Error ? `${error.stack}` : String(error) }),
    )
    process.send?.(result)
  })
  process.on('disconnect', () => process.exit())
  process.send?.({ value: 'ready' } satisfies Answer)
}
