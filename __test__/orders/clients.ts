// Processes that make the calls.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Noted } from './notes'
import type { Step } from './plan'

/** How a process is started. */
export interface Host {
  /** The path of the package. */
  addon: string
  threads: number
  /** What is put before the command, such as `taskset -c 0`. */
  prefix?: string[]
  env?: NodeJS.ProcessEnv
}

let bundle: Promise<string> | undefined

async function bundleOf(script: string): Promise<string> {
  const options = {
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'warning',
    write: false,
  } as const
  const { outputFiles } = await build({ entryPoints: [join(__dirname, script)], ...options })
  return outputFiles[0]?.text ?? ''
}

/** The path of the script that a process runs, made in `dir`. */
export async function bundled(dir: string): Promise<string> {
  bundle ??= bundleOf('client.ts')
  const path = join(dir, 'client.cjs')
  writeFileSync(path, await bundle)
  return path
}

export class Client {
  private child: ChildProcess | undefined

  constructor(
    private readonly host: Host,
    private readonly script: string,
    private readonly home: string,
    private readonly log: string,
  ) {}

  async start(): Promise<void> {
    const { addon, threads, prefix = [], env } = this.host
    const args = [...prefix, process.execPath, this.script, addon, this.home, this.log, String(threads)]
    this.child = spawn(args[0] as string, args.slice(1), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { PATH: process.env.PATH, ...env },
    })
    await once(this.child, 'message')
  }

  /** Until it has done all of it, or is killed. */
  async run(plans: Step[][]): Promise<void> {
    const child = this.child as ChildProcess
    const ended = new AbortController()
    try {
      const events = [once(child, 'message', ended), once(child, 'exit', ended)] as const
      child.send(plans)
      await Promise.race(events)
    } finally {
      ended.abort()
    }
  }

  async kill(): Promise<void> {
    const { child } = this
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  /** What it has noted since the last time, by thread. */
  noted(): Noted[][] {
    return Array.from({ length: this.host.threads }, (_, thread) => {
      const path = `${this.log}-${thread}`
      if (!existsSync(path)) return []
      const lines = readFileSync(path, 'utf8').split('\n')
      rmSync(path)
      const notes = new Map<string, Noted>()
      for (const line of lines.filter((line) => line.endsWith('}'))) {
        const noted = JSON.parse(line) as Noted
        notes.set(noted.id, { ...notes.get(noted.id), ...noted })
      }
      return [...notes.values()]
    })
  }
}
